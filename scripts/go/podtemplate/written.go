// Templates and steps written by hand: what manifests in the wild look like, and one for every trap met.
package main

func count(n int32) *int32 { return &n }

var written = []struct {
	name      string
	input     string
	collision *int32
}{
	{"empty", `{}`, nil},
	{"no labels", `{"metadata":{},"spec":{"containers":[]}}`, nil},
	{"containers absent", `{"spec":{}}`, nil},
	{"rollouts demo", `{"metadata":{"labels":{"app":"rollouts-demo"}},"spec":{"containers":[{"name":"rollouts-demo","image":"argoproj/rollouts-demo:blue","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],"resources":{"requests":{"memory":"32Mi","cpu":"5m"}}}]}}`, nil},
	{"rollouts demo, yellow", `{"metadata":{"labels":{"app":"rollouts-demo"}},"spec":{"containers":[{"name":"rollouts-demo","image":"argoproj/rollouts-demo:yellow","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],"resources":{"requests":{"memory":"32Mi","cpu":"5m"}}}]}}`, nil},
	{"creationTimestamp null", `{"metadata":{"creationTimestamp":null,"labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"b"}]}}`, nil},
	{"creationTimestamp set", `{"metadata":{"creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"b"}]}}`, nil},
	{"collision 0", `{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"b"}]}}`, count(0)},
	{"collision 1", `{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"b"}]}}`, count(1)},
	{"collision 70000", `{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"b"}]}}`, count(70000)},
	{"key order does not matter", `{"spec":{"containers":[{"image":"b","name":"a"}]},"metadata":{"labels":{"z":"1","a":"2"},"annotations":{"b":"1","a":"2"}}}`, nil},
	{"unknown fields vanish", `{"metadata":{"labels":{"app":"x"},"foo":1},"spec":{"containers":[{"name":"a","image":"b","bar":{}}],"baz":[]},"qux":true}`, nil},
	{"quantities", `{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"0.001","memory":"1024Mi"},"requests":{"cpu":1.5,"memory":"1073741824"}}}]}}`, nil},
	{"quantity as number", `{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":2,"memory":1000000000}}}]}}`, nil},
	{"html and unicode", `{"metadata":{"annotations":{"note":"<b>&</b> \u2028 ☃ \u0007"}},"spec":{"containers":[{"name":"a","args":["--x=<y>&z","tab\t"]}]}}`, nil},
	{"lone surrogate", `{"metadata":{"annotations":{"note":"\ud800x"}},"spec":{"containers":[]}}`, nil},
	{"pointers to zero stay", `{"spec":{"containers":[{"name":"a","securityContext":{"runAsUser":0,"privileged":false}}],"terminationGracePeriodSeconds":0,"automountServiceAccountToken":false,"hostUsers":false}}`, nil},
	{"values that are zero go", `{"spec":{"containers":[{"name":"a","tty":false,"stdin":false,"workingDir":""}],"hostNetwork":false,"restartPolicy":"","nodeSelector":{},"tolerations":[]}}`, nil},
	{"empty structs stay", `{"spec":{"containers":[{"name":"a","securityContext":{},"lifecycle":{},"livenessProbe":{}}],"securityContext":{},"affinity":{},"volumes":[{"name":"v","emptyDir":{}}]}}`, nil},
	{"probes", `{"spec":{"containers":[{"name":"a","livenessProbe":{"httpGet":{"path":"/","port":"http","httpHeaders":[{"name":"X","value":""}]},"periodSeconds":5},"readinessProbe":{"tcpSocket":{"port":8080}},"startupProbe":{"exec":{"command":["true"]},"failureThreshold":30},"lifecycle":{"preStop":{"sleep":{"seconds":5}},"postStart":{"exec":{"command":["sh","-c","echo"]}}}}]}}`, nil},
	{"grpc probe", `{"spec":{"containers":[{"name":"a","livenessProbe":{"grpc":{"port":9000,"service":""}}},{"name":"b","livenessProbe":{"grpc":{"port":9000}}}]}}`, nil},
	{"volumes of all kinds", `{"spec":{"containers":[{"name":"a","volumeMounts":[{"name":"c","mountPath":"/c","readOnly":true,"subPath":"x"}],"volumeDevices":[{"name":"d","devicePath":"/dev/x"}]}],"volumes":[{"name":"c","configMap":{"name":"c","defaultMode":420,"items":[{"key":"k","path":"p","mode":256}],"optional":true}},{"name":"s","secret":{"secretName":"s"}},{"name":"e","emptyDir":{"medium":"Memory","sizeLimit":"0.5Gi"}},{"name":"h","hostPath":{"path":"/x","type":"Directory"}},{"name":"p","persistentVolumeClaim":{"claimName":"p"}},{"name":"n","nfs":{"server":"n","path":"/"}},{"name":"pr","projected":{"sources":[{"serviceAccountToken":{"path":"t","expirationSeconds":3600,"audience":"a"}},{"downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"metadata.labels"}},{"path":"c","resourceFieldRef":{"resource":"limits.cpu","divisor":"1m"}},{"path":"d","resourceFieldRef":{"resource":"limits.memory"}}]}},{"clusterTrustBundle":{"name":"x","path":"y"}}]}},{"name":"eph","ephemeral":{"volumeClaimTemplate":{"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1000Mi"}},"storageClassName":""}}}},{"name":"csi","csi":{"driver":"d","volumeAttributes":{"b":"2","a":"1"}}},{"name":"img","image":{"reference":"r","pullPolicy":"Always"}},{"name":"git","gitRepo":{"repository":"r"}},{"name":"iscsi","iscsi":{"targetPortal":"1","iqn":"i","lun":0}},{"name":"cephfs","cephfs":{"monitors":null}},{"name":"fc","fc":{"lun":0}},{"name":"rbd","rbd":{"monitors":[],"image":"i"}}]}}`, nil},
	{"env", `{"spec":{"containers":[{"name":"a","env":[{"name":"A","value":""},{"name":"B","valueFrom":{"fieldRef":{"fieldPath":"metadata.name","apiVersion":"v1"}}},{"name":"C","valueFrom":{"secretKeyRef":{"name":"s","key":"k","optional":false}}},{"name":"D","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"0"}}},{"name":"E","valueFrom":{"configMapKeyRef":{"key":"k"}}}],"envFrom":[{"prefix":"P_","configMapRef":{"name":"c"}},{"secretRef":{"name":"s","optional":true}}]}]}}`, nil},
	{"affinity and spread", `{"spec":{"containers":[{"name":"a"}],"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"In","values":["v"]}]}]},"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"preference":{}}]},"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,"podAffinityTerm":{"topologyKey":"kubernetes.io/hostname","labelSelector":{"matchLabels":{"app":"x"}}}}]}},"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule","labelSelector":{},"minDomains":0}],"tolerations":[{"key":"a","operator":"Exists","effect":"NoSchedule","tolerationSeconds":0}]}}`, nil},
	{"security context", `{"spec":{"containers":[{"name":"a","securityContext":{"capabilities":{"add":["NET_ADMIN"],"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"},"seLinuxOptions":{},"windowsOptions":{"hostProcess":false},"appArmorProfile":{"type":"Localhost","localhostProfile":""},"procMount":"Default"}}],"securityContext":{"runAsNonRoot":true,"fsGroup":0,"sysctls":[{"name":"a","value":"b"}],"supplementalGroups":[],"fsGroupChangePolicy":"Always"}}}`, nil},
	{"sidecar and init", `{"spec":{"initContainers":[{"name":"i","image":"i","restartPolicy":"Always","resizePolicy":[{"resourceName":"cpu","restartPolicy":"NotRequired"}]}],"containers":[{"name":"a"}],"ephemeralContainers":[{"name":"d","targetContainerName":"a","image":"busybox"}]}}`, nil},
	{"rest of the pod", `{"spec":{"containers":[{"name":"a"}],"serviceAccountName":"sa","serviceAccount":"sa","nodeName":"n","hostNetwork":true,"hostPID":true,"shareProcessNamespace":false,"imagePullSecrets":[{"name":"p"},{}],"hostname":"h","subdomain":"s","schedulerName":"d","hostAliases":[{"ip":"1.2.3.4","hostnames":["a"]},{"ip":"::1"}],"priorityClassName":"p","priority":0,"dnsConfig":{"nameservers":["1.1.1.1"],"options":[{"name":"ndots","value":"2"},{"name":"edns0"}]},"readinessGates":[{"conditionType":"x"}],"runtimeClassName":"","enableServiceLinks":true,"preemptionPolicy":"Never","overhead":{"cpu":"250m"},"setHostnameAsFQDN":false,"os":{"name":"linux"},"schedulingGates":[{"name":"g"}],"resourceClaims":[{"name":"c","resourceClaimName":"r"}],"dnsPolicy":"ClusterFirst","activeDeadlineSeconds":5,"resources":{"limits":{"cpu":"1"}},"hostnameOverride":"h"}}`, nil},
	{"metadata that nobody writes", `{"metadata":{"name":"n","generateName":"g","namespace":"ns","uid":"u","resourceVersion":"1","generation":3,"deletionTimestamp":"2026-01-02T03:04:05Z","deletionGracePeriodSeconds":0,"ownerReferences":[{"apiVersion":"v1","kind":"K","name":"n","uid":"u","controller":false}],"finalizers":["f"],"managedFields":[{"manager":"m","operation":"Apply","time":"2026-01-02T03:04:05Z","fieldsV1":{"f:a":{}}}]},"spec":{"containers":[]}}`, nil},
}

var writtenSteps = []struct {
	name  string
	input string
}{
	{"null", `null`},
	{"empty", `[]`},
	{"weights and pauses", `[{"setWeight":20},{"pause":{}},{"setWeight":40},{"pause":{"duration":10}},{"setWeight":60},{"pause":{"duration":"10s"}},{"setWeight":0}]`},
	{"analysis", `[{"analysis":{"templates":[{"templateName":"success-rate"},{"templateName":"c","clusterScope":true}],"args":[{"name":"service-name","value":"guestbook"},{"name":"hash","valueFrom":{"podTemplateHashValue":"Latest"}},{"name":"f","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],"dryRun":[{"metricName":".*"}],"measurementRetention":[{"metricName":"m","limit":20}]}}]`},
	{"experiment", `[{"experiment":{"duration":"1h","templates":[{"name":"baseline","specRef":"stable","weight":5},{"name":"canary","specRef":"canary","metadata":{"labels":{"a":"b"}},"service":{}}],"analyses":[{"name":"m","templateName":"t"}]}}]`},
	{"scale", `[{"setCanaryScale":{"replicas":3}},{"setCanaryScale":{"weight":25}},{"setCanaryScale":{"matchTrafficWeight":true}}]`},
	{"routes", `[{"setHeaderRoute":{"name":"h","match":[{"headerName":"x","headerValue":{"exact":"a<b"}}]}},{"setMirrorRoute":{"name":"m","percentage":35,"match":[{"method":{"exact":"GET"},"path":{"prefix":"/"},"headers":{"b":{"regex":".*"},"a":{}}}]}},{"setMirrorRoute":{"name":"m"}}]`},
	{"plugin", `[{"plugin":{"name":"org/step","config":{"b":1,"a":{"x":"<y>","n":1.5}}}},{"plugin":{"name":"other"}}]`},
	{"unknown fields vanish", `[{"setWeight":5,"foo":1}]`},
	{"an empty step", `[{}]`},
}
