-- POSTs with a body of as many bytes as the first argument says.
wrk.method = "POST"

function init(args)
  wrk.body = string.rep("x", tonumber(args[1]))
  wrk.headers["Content-Type"] = "application/octet-stream"
end
