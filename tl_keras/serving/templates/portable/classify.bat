@echo off
rem Drop photos or folders on this file; without any the folder "photos" beside it is watched.
setlocal DisableDelayedExpansion
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
rem What is dropped is taken from the line that started this, where names may have any letters:
rem Explorer leaves those with an ampersand and no blank without quotes.
setlocal EnableDelayedExpansion
set "line=!cmdcmdline!"
set "photos=!line:*%~nx0" =!"
if "!photos!"=="!line!" goto typed
set "photos=!photos:~0,-1!"
%python% "!program!" !photos!
set "code=!errorlevel!"
rem whoever dropped photos wants to read the answers
pause
rem not only of this file: what stands behind an ampersand is no command
exit %code%
:typed
endlocal
%python% "%program%" %*
