# check-style.sh DIRECTORY: fails on tabs in code, on blanks at line ends and on headers without a guard.
set -eu
directory=$1
failed=0
tab=$(printf '\t')

complain() {
    printf '%s: %s\n' "$1" "$2"
    failed=1
}

for file in $(find "$directory" -type f | sort); do
    case $file in
        *.c | *.h | *.sh | *.yml)
            ! grep -q "$tab" "$file" || complain "$file" "holds a tab" ;;
    esac
    ! grep -q "[ $tab]\$" "$file" || complain "$file" "has blanks at a line's end"
    case $file in
        *.h)
            grep -q '^#ifndef ' "$file" || complain "$file" "has no include guard" ;;
    esac
done
exit "$failed"
