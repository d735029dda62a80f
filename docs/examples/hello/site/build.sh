#!/bin/sh
# build.sh DIRECTORY: makes the page from greetings.tsv and page.html beside this script.
set -eu
here=$(dirname "$0")
target=$1

rows() {
    while IFS='	' read -r language greeting; do
        [ -n "$language" ] || continue
        printf '  <tr><th>%s</th><td>%s</td></tr>\n' "$language" "$greeting"
    done
}

mkdir -p "$target"
sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' "$here/greetings.tsv" | sort | rows > "$target/rows.tmp"
sed -e "/@ROWS@/{
r $target/rows.tmp
d
}" "$here/page.html" > "$target/index.html"
rm "$target/rows.tmp"
cp "$here/style.css" "$target/style.css"
