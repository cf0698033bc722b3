#!/bin/sh
# Photos or folders may follow; without any the folder "photos" beside this file is watched.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd) || exit 2
for python in {{ commands }} python3 python; do
    if "$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
        exec "$python" "$here/classify.py" "$@"
    fi
done
echo "Python {{ version }} is needed: install it with the system's packages or from python.org." >&2
exit 2
