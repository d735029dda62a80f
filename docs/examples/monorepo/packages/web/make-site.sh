# make-site.sh: writes site/index.html, site/ledger.json and site/api/ from what the programs and docs give.
set -eu
sample=deps/sample/sample.csv
mkdir -p site/api
{
    cat head.html
    echo '<pre>'
    deps/report/bin/report "$sample" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g'
    echo '</pre>'
    echo '</html>'
} > site/index.html
deps/export/bin/export "$sample" > site/ledger.json
cp deps/docs/pages/*.txt site/api/
