# make-sample.sh: writes sample.csv, one line per line of items.txt with a counted-up quantity.
set -eu
quantity=1
{
    echo '# item, quantity, unit, price of one base unit'
    while read -r item unit price; do
        printf '%s, %d, %s, %s\n' "$item" "$quantity" "$unit" "$price"
        quantity=$((quantity + 2))
    done < items.txt
} > sample.csv
