// The words with which a script makes its Rollout up: what is none of them is refused at its line.
import { test } from "tap";
import { runScript } from "../support/script.ts";

test("script: a word of `rollout` that is unknown or does not fit is refused at its line", (t) => {
  const cases: Readonly<Record<string, RegExp>> = {
    "step=20":
      /step is no word of `rollout`; did you mean steps\?; there are: replicas, steps, routed, .*, max, /,
    "weights=20": /weights is no word of `rollout`; there are: replicas, /,
    "replicas=many": /replicas is wrong: many is no whole number from 0 on; write: replicas=N/,
    replicas: /replicas needs a value: replicas=N/,
    "routed=yes": /routed stands alone, without =yes/,
    "readiness=maybe": /readiness is wrong: maybe is none of auto, manual; write: readiness=auto\|manual/,
    "spec={replicas:1}": /spec is wrong: .*; write: spec=JSON/,
    "bluegreen=[]": /bluegreen is wrong: \[\] is no JSON object; write: bluegreen=\[JSON\]/,
    "steps=20,paus": /paus is no step; a step is one of: 20, pause, pause:30s, /,
    "replicas=1 replicas=2": /replicas stands twice/,
  };
  for (const [words, message] of Object.entries(cases)) {
    const script = `# a comment\n> rollout ${words}\n`;
    t.throws(() => runScript(script, { file: "made-up.txt" }), { message }, words);
    t.throws(() => runScript(script, { file: "made-up.txt" }), {
      message: new RegExp(`^made-up.txt:2: rollout ${words.slice(0, 4)}`),
    });
  }
  t.end();
});
