#!/bin/sh
# A receiver for the webhooks of voicebot in plain shell, with openssl and jq: one request on standard input, its
# answer on standard output. Anything that gives a connection to a process serves it:
#   export WEBHOOK_SECRET=whsec_…
#   socat TCP-LISTEN:9000,bind=127.0.0.1,reuseaddr,fork EXEC:./receiver.sh
set -u
: "${WEBHOOK_SECRET:?set it to the secret of the service, whsec_…}"
ANSWERS=${ANSWERS:-/var/tmp/voicebot-answers} # one file for each event, for those that come again
LC_ALL=C
TOLERANCE_S=300
MAX_BODY=1048576
MAX_WAIT_S=30

respond() { # status, reason, file with a JSON reply (none: no body)
  size=0
  [ -n "${3:-}" ] && size=$(wc -c <"$3")
  printf 'HTTP/1.1 %s %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n' "$1" "$2" "$size"
  [ -n "${3:-}" ] && cat "$3"
  exit 0
}

digits() { case $1 in '' | *[!0-9]*) return 1 ;; esac; [ ${#1} -le 12 ]; }

# What the caller hears. Here your application begins; types that you do not know are answered with {}.
answer() { # file with the event
  jq -c '
    def say(text): {type: "say", text: text};
    if .type == "call.started" then {actions: [say("Hello! Say something, or goodbye.")]}
    elif (.type == "turn.completed" or .type == "turn.provisional") and .data.turn.text != "" then
      if .data.turn.text | test("goodbye"; "i") then {actions: [say("Goodbye!"), {type: "hangup"}]}
      else {actions: [say("You said: " + .data.turn.text[:1000])]} end
    elif .type == "no_input" then
      {actions: [if .data.count == 1 then say("Are you still there?") else {type: "hangup"} end]}
    else {} end' "$1"
}

# The request line and the headers; `read` takes no byte too many from a pipe or a socket.
cr=$(printf '\r')
read -r method _ || exit 0
id='' timestamp='' signatures='' size=''
while read -r line && line=${line%"$cr"} && [ -n "$line" ]; do
  value=${line#*:} value=${value# }
  case $(printf %s "${line%%:*}" | tr 'A-Z' 'a-z') in
    webhook-id) id=$value ;;
    webhook-timestamp) timestamp=$value ;;
    webhook-signature) signatures=$value ;;
    content-length) size=$value ;;
  esac
done
[ "$method" = POST ] || respond 405 'Method Not Allowed'
digits "$size" || respond 411 'Length Required'
[ "$size" -le $MAX_BODY ] || respond 413 'Content Too Large'

# The raw bytes of the body: they are what was signed.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
timeout $MAX_WAIT_S head -c "$size" >"$folder/body"

# Standard Webhooks: an HMAC over id, timestamp and body; one right signature of several is enough.
case $id in '' | *[!A-Za-z0-9_.-]*) respond 401 Unauthorized ;; esac
digits "$timestamp" || respond 401 Unauthorized
age=$(($(date +%s) - $(printf %s "$timestamp" | sed 's/^0*\(.\)/\1/')))
[ "${age#-}" -le $TOLERANCE_S ] || respond 401 Unauthorized
key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
{ printf '%s.%s.' "$id" "$timestamp"; cat "$folder/body"; } >"$folder/signed"
wanted=$(openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary "$folder/signed" | openssl base64 -A)
good=no
set -f
for signature in $signatures; do
  # Digests of both are compared, so that the time it takes tells nothing about the signature.
  [ "$(printf %s "$signature" | openssl dgst -sha256)" = "$(printf %s "v1,$wanted" | openssl dgst -sha256)" ] && good=yes
done
[ $good = yes ] && [ ${#wanted} -eq 44 ] || respond 401 Unauthorized

# An event may come again: it has the same answer, and nothing is done twice. The file appears whole or not at all.
mkdir -p "$ANSWERS"
if [ ! -s "$ANSWERS/$id" ]; then
  answer "$folder/body" >"$folder/reply" || respond 500 'Internal Server Error'
  mv "$folder/reply" "$ANSWERS/.$id.$$" && mv "$ANSWERS/.$id.$$" "$ANSWERS/$id"
fi
respond 200 OK "$ANSWERS/$id"
