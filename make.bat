@echo off
rem make demo: hear the demo voice.  make test: run every check.
rem Another Python: set PYTHON=py -3.12
setlocal
cd /d "%~dp0"
if not defined PYTHON set PYTHON=python
set PYTHONUTF8=1
if "%~1"=="demo" goto demo
if "%~1"=="test" goto test
if "%~1"=="env" goto env
echo usage: make demo ^| make test ^| make env
exit /b 2
:demo
%PYTHON% scripts\demo.py
exit /b %errorlevel%
:test
%PYTHON% scripts\setup_env.py --dev || exit /b 1
.venv\Scripts\python.exe scripts\check.py
exit /b %errorlevel%
:env
%PYTHON% scripts\setup_env.py --dev
exit /b %errorlevel%
