-- Sends the requests of the Lua table in $REQUESTS in turn, and prints one line of JSON at the end.
local requests = dofile(os.getenv("REQUESTS"))
local sent = 0

function request()
  sent = sent % #requests + 1
  return requests[sent]
end

function done(summary, latency)
  local errors = summary.errors
  local function milliseconds(share) return latency:percentile(share) / 1000 end
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "bytes": %d, "p50": %.3f, "p95": %.3f, "p99": %.3f, ' ..
    '"slowest": %.3f, "refused": %d, "late": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    milliseconds(50), milliseconds(95), milliseconds(99), latency.max / 1000,
    errors.status, errors.timeout, errors.connect + errors.read + errors.write))
end
