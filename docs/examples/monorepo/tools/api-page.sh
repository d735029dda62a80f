# api-page.sh PACKAGE DIRECTORY: writes DIRECTORY/<package>.txt, the comments and prototypes of the package's headers.
set -eu
package=$1
target=$2
name=${package##*/}
mkdir -p "$target"
{
    printf '%s\n\n' "$name"
    for header in $(find "$package" -name '*.h' | sort); do
        sed -n -e '/^#/d' -e '/^$/d' -e 's:^/\* *\(.*\) \*/$:\1:' -e '/./p' "$header"
    done
} > "$target/$name.txt"
