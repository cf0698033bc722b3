@echo off
rem Drop photos or folders on this file; without any the folder "photos" beside it is watched.
setlocal
set "program=%~dp0classify.py"
set "python="
for %%v in ({{ versions }} 3) do if not defined python (
    py -%%v -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul && set "python=py -%%v"
)
if not defined python (
    python -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul && set "python=python"
)
if not defined python (
    echo Python {{ version }} is needed: install it from https://www.python.org/downloads/
    pause
    exit /b 2
)
%python% "%program%" %*
set "code=%errorlevel%"
rem whoever dropped photos wants to read the answers
setlocal enabledelayedexpansion
echo !cmdcmdline! | find /i "/c" >nul && pause
exit /b %code%
