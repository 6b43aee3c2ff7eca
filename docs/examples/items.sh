#!/usr/bin/env bash
# Brings changes over HTTP: items a row a line, one item, one delete. SHOP is the address of freshet-ingest, TOKEN a token.
set -euo pipefail

send() { # METHOD PATH [BODY]: what is refused for now (429, 503) is sent again as it is
	curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --request "$1" "$SHOP$2" \
		--header "Authorization: Bearer $TOKEN" "${@:3}"
}

send POST /v1/items --header 'Content-Type: application/x-ndjson' --data-binary @- <<'NDJSON'
{"id": "p9", "seq": 17, "name": "Electric Kettle", "price": 35}
{"id": "p8", "seq": 17, "name": "Tunnel Tent", "price": "cheap"}
{"id": "p7", "seq": 18, "__deleted": true}
NDJSON
# {"accepted":2,"failed":1,"items":[{"line":2,"id":"p8","status":422,"code":"field-type","message":"property price: …"}]}

send PUT /v1/items/p8 --header 'Content-Type: application/json' --data '{"seq": 19, "name": "Tunnel Tent", "price": 89}'
send DELETE '/v1/items/p9?seq=20'
