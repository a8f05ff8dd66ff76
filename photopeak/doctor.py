"""Check the machine before anything is downloaded. Standard library only, any Python 3: it runs outside the environments.

    python3 photopeak/doctor.py [--install] [--peers] [--lang en|zh]

It speaks the language of the session (`PHOTOPEAK_LANG`, else LC_ALL, LC_MESSAGES, LANG) unless `--lang` says otherwise.
`--install` installs Java 17 where it may (root and apt); `--peers` the programs that only tests need.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

__all__ = ["PEERS", "checks", "find_java", "language", "main", "say"]

ROOT = Path(__file__).resolve().parent.parent
DISK_GIB, MEMORY_GIB = 6, 4
PORTS = {
    "DICOM": 11112,
    "HL7": 2575,
    "EVENTS": 8070,
    "SPARK": 15002,
    "AIRFLOW": 8080,
    "SUPERSET": 8088,
    "REPORTS": 8090,
    "STATUS": 8091,
}
SPEAKS = ("PHOTOPEAK_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
JAVA_PACKAGE = "openjdk-17-jre-headless"
PEERS = {
    "dcmtk": "/usr/bin/storescu",
    "orthanc": "/usr/sbin/Orthanc",
    "chromium": "/usr/bin/chromium",
    "fonts-noto-cjk": "/usr/share/fonts/opentype/noto",
}  # package: a path of it


def language():
    """Return the language of this terminal: "en" or "zh"."""
    asked = next((value for name in SPEAKS if (value := os.environ.get(name))), "")
    return "zh" if asked.lower().startswith("zh") else "en"


def say(code, **args):
    """Return the sentence of a code of the catalogue, in the language of this terminal; the room `messages` itself needs a newer Python."""
    text = (ROOT / "messages" / (language() + ".json")).read_text(encoding="utf-8")
    return json.loads(text)["messages"][code].format(**args)


def main(arguments):
    """Print a line for each check and return 0, or 3 when something is missing; with `--install`, install what may be installed first."""
    if "--lang" in arguments:
        os.environ[SPEAKS[0]] = (arguments[arguments.index("--lang") + 1 :] or ["en"])[0]
    if "--install" in arguments:
        wanted = [] if find_java() else [JAVA_PACKAGE]
        if "--peers" in arguments:
            wanted += [name for name, path in PEERS.items() if not Path(path).exists()]
        if wanted and may_install():
            install(wanted)
        elif [w for w in wanted if w != JAVA_PACKAGE]:
            print("[doctor] " + say("doctor.peers_missing", packages=" ".join(w for w in wanted if w != JAVA_PACKAGE)))
    missing = 0
    quiet = "--install" in arguments
    for good, sentence in checks(ports=not quiet):
        missing += not good
        if not good or not quiet:
            print(f"[doctor] {say('doctor.ok' if good else 'doctor.missing')} {sentence}", flush=True)
    return 3 if missing else 0


def checks(ports=True):
    """Return (good, sentence) for each thing that the platform needs."""
    found = [python(), venv(), account(), java(), disk(), memory()]
    return [*found, *(taken_ports() if ports else [])]


def python():
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        return True, f"Python {version}"
    return False, say("doctor.python_other", version=version)


def venv():
    try:
        import ensurepip  # noqa: F401
        import venv as _  # noqa: F401
    except ImportError:
        return False, say("doctor.venv_missing")
    return True, say("doctor.venv")


def account():
    import pwd

    try:
        return True, say("doctor.account", name=pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return False, say("doctor.account_missing", number=os.getuid())


def java():
    path = find_java()
    if path:
        return True, say("doctor.java", path=path)
    return False, say("doctor.java_missing", package=JAVA_PACKAGE)


def find_java():
    """Return the path of a Java 17, or None."""
    places = [Path(os.environ["JAVA_HOME"]) / "bin" / "java"] if os.environ.get("JAVA_HOME") else []
    places += sorted(Path("/usr/lib/jvm").glob("*17*/bin/java"))
    on_path = shutil.which("java")
    places += [Path(on_path)] if on_path else []
    for place in places:
        if not place.exists():
            continue
        release = place.resolve().parent.parent / "release"  # reading it costs nothing, starting Java costs 0.2 s
        text = (
            release.read_text()
            if release.exists()
            else subprocess.run([place, "-version"], capture_output=True, text=True).stderr
        )
        if re.search(r'(JAVA_VERSION="|version ")17\b', text):
            return str(place)
    return None


def disk():
    home = Path(os.environ.get("PHOTOPEAK_HOME") or ROOT / "var")
    while not home.exists():
        home = home.parent
    installed = (ROOT / ".venv-superset" / "photopeak.sha256").exists()
    needed = 1 if installed else DISK_GIB
    for folder in {ROOT, home}:
        free = shutil.disk_usage(folder).free / 2**30
        if free < needed:
            return False, say("doctor.disk_full", needed=needed, folder=folder, free=free)
        if not os.access(folder, os.W_OK):
            return False, say("doctor.folder_not_writable", folder=folder)
    return True, say("doctor.disk", needed=needed)


def memory():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if total < MEMORY_GIB:
        return False, say("doctor.memory_low", needed=MEMORY_GIB, total=total)
    return True, say("doctor.memory", total=total)


def taken_ports():
    """Return a row for each port that something holds; what this platform itself holds is told apart by `photopeak up`."""
    home = Path(os.environ.get("PHOTOPEAK_HOME") or ROOT / "var")
    written = (
        dict(re.findall(r"^PHOTOPEAK_(\w+)=(.*)$", (home / "photopeak.env").read_text(), re.M))
        if (home / "photopeak.env").exists()
        else {}
    )
    if (home / "run" / "supervisord.pid").exists():
        return [(True, say("doctor.ports_ours"))]
    host = os.environ.get("PHOTOPEAK_HOST") or written.get("HOST") or "127.0.0.1"
    rows = []
    for name, default in PORTS.items():
        setting = f"PHOTOPEAK_{name}_PORT"
        port = int(os.environ.get(setting) or written.get(f"{name}_PORT") or default)
        if not is_free(host, port):
            rows.append((False, say("doctor.port_taken", port=port, setting=setting)))
    return rows or [(True, say("doctor.ports_free"))]


def is_free(host, port):
    """Return whether a service could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def may_install():
    """Return whether this account may install Debian packages."""
    return os.getuid() == 0 and shutil.which("apt-get") is not None


def install(packages):
    """Install Debian packages without starting any service that they bring."""
    print("[doctor] " + say("doctor.installing", packages=" ".join(packages)), flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()  # a package must not start its service: Orthanc would bind 4242 and 8042
    try:
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]):
            done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                last = done.stdout.strip().splitlines()[-1:]
                print(
                    "[doctor] " + say("doctor.install_failed", command=" ".join(command), problem=" ".join(last)), file=sys.stderr
                )
    finally:
        if ours:
            policy.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
