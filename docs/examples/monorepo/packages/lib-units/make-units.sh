# make-units.sh: writes units_table.h from units.tsv beside this script.
set -eu
{
    echo '/* Made by make-units.sh from units.tsv. */'
    sort units.tsv | sed -n 's/^\([a-z]*\)[^a-z0-9]*\([a-z]*\)[^a-z0-9]*\([0-9]*\)$/{ "\1", "\2", \3 },/p'
} > units_table.h
