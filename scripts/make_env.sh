#!/bin/sh
# Make the virtual environment: scripts/make_env.sh PYTHON FOLDER
set -eu
python=$1
folder=$2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; $python is $("$python" --version 2>&1). Name another: make PYTHON=python3.12 …" >&2
    exit 1
}
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement requirements.lock

# opencv-python draws windows and so needs the system's libGL, which servers and containers often lack.
# opencv-python-headless is the same library without windows, which this project never opens.
if ! "$folder/bin/python" -c 'import cv2' 2>/dev/null; then
    version=$(sed -n 's/^opencv-python==//p' requirements.lock)
    echo "opencv-python can't be imported here (libGL is missing?); taking opencv-python-headless $version instead"
    "$folder/bin/python" -m pip uninstall --quiet --yes opencv-python opencv-python-headless
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "opencv-python-headless==$version"
    "$folder/bin/python" -c 'import cv2'
fi
