#!/bin/sh
# Send FILE to the server at URL in parts, in any order, and have it verified:
#
#   URL=http://127.0.0.1:8000 TOKEN=hft_... FILE=film.mkv sh parts.sh
#
# Prints the id of the upload. Interrupted, run it again: only the missing parts are sent.
# Needs curl 7.76 or newer, and GNU coreutils.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The token stands in a file that only you can read. On a command line every user of this machine
# could see it.
printf 'header = "Authorization: Bearer %s"\n' "$TOKEN" > "$work/curlrc"

# Told to come back (429, 503), curl waits as long as `Retry-After` says and sends the same again.
# After a cut connection too: a part that had come in by then is counted once.
call() {
    curl -sS --config "$work/curlrc" --retry 8 --retry-all-errors -o "$work/answer" \
        -w '%{http_code}' "$@"
}

# A field of the last answer.
field() {
    sed -nE "s/.*\"$1\": \"?([^\",}]*).*/\1/p" "$work/answer"
}

# expect WANTED GOT: an answer with another status ends the script; it says what to do.
expect() {
    case " $1 " in *" $2 "*) return ;; esac
    echo "The server answered $2: $(cat "$work/answer")" >&2
    exit 1
}

# put NUMBER CHUNK: prints the status. The digest lets the server refuse what was damaged on its way
# (422), at once and not only when it has the whole file.
put() {
    digest=$(sha256sum < "$2" | cut -c -64 | tr a-f A-F | basenc -d --base16 | base64)
    call -X PUT --data-binary "@$2" -H "Content-Digest: sha-256=:$digest:" \
        "$URL/uploads/sessions/$id/parts/$1"
}

# By size and hash the server finds an upload of yours that was begun before. Quotes and
# backslashes of a name are escaped in JSON.
name=$(basename -- "$FILE" | sed 's/[\\"]/\\&/g')
sha256=$(sha256sum < "$FILE" | cut -c -64)
size=$(wc -c < "$FILE")
status=$(call -H "Content-Type: application/json" "$URL/uploads/sessions" \
    --data-binary "{\"filename\": \"$name\", \"size\": $size, \"sha256\": \"$sha256\"}")
expect "200 201" "$status"
id=$(field id)
part_size=$(field part_size)
missing=$(sed -nE 's/.*"missing_parts": \[([0-9, ]*)\].*/\1/p' "$work/answer" | tr -d ' ')

shown=
for number in $(echo "$missing" | tr ',' '\n' | shuf); do
    # Parts are numbered from 1. All have the same size but the last.
    dd if="$FILE" bs="$part_size" skip=$((number - 1)) count=1 iflag=fullblock status=none \
        of="$work/chunk"
    status=$(put "$number" "$work/chunk")
    expect 200 "$status"
    [ -z "$shown" ] || continue
    shown=yes
    # Only to show it: the same bytes again are welcome and change nothing; other bytes are
    # refused (409) and change nothing either. The upload goes on.
    status=$(put "$number" "$work/chunk")
    expect 200 "$status"
    echo "Part $number sent again: $status, duplicate: $(field duplicate)" >&2
    head -c "$(wc -c < "$work/chunk")" /dev/urandom > "$work/other"
    status=$(put "$number" "$work/other")
    expect 409 "$status"
    echo "Part $number sent with other bytes: $status, $(field code)" >&2
done

# 202 as long as the server reads what it has stored, to compare its hash with yours.
status=202
while [ "$status" = 202 ]; do
    status=$(call -X POST "$URL/api/v1/uploads/$id/complete")
    [ "$status" != 202 ] || sleep 1
done
expect 200 "$status"
[ "$(field sha256)" = "$sha256" ] || { echo "The server has other bytes" >&2; exit 1; }
echo "$id"
