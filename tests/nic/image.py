# SPDX-License-Identifier: BSD-3-Clause
"""What the guest boots: Debian's cloud kernel, and an initramfs with busybox, siplane and the drivers that it needs."""
import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
CACHE = ROOT / "build/nic"
GEN = pathlib.Path(os.environ.get("SIPLANE_GEN", ROOT / "build/app/siplane-gen/siplane-gen"))
KERNEL_META = "linux-image-cloud-amd64"
MODULES = ("vfio-pci", "vfio_iommu_type1", "virtio_net", "virtio_pci", "tun")
DRIVERS = ("bus_pci", "bus_vdev", "mempool_ring", "net_e1000", "net_virtio", "net_vmxnet3")
LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")
CONFIG = """#!define EDGE_DEVICE "0000:00:04.0"
#!define CORE_DEVICE "0000:00:05.0"
#!define SECRET "/run/siplane.secret"
include_file "/conf/quickstart.cfg"
"""


class Unavailable(Exception):
    """This machine cannot run the guest: no failure of siplane's."""


def _run(*args, **kw):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, **kw)
    if r.returncode != 0:
        raise Unavailable(f"{args[0]}: {(r.stderr or r.stdout).strip()[-300:]}")
    return r.stdout


def _newest_package():
    """The package that the meta package asks for; security updates move its name."""
    found = re.findall(r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", KERNEL_META))
    if not found:
        raise Unavailable(f"apt knows no {KERNEL_META}")
    return found[0]


def _download(package):
    """Fetches and unpacks a kernel package, without installing it."""
    work = CACHE / f"{package}.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    # APT's own user may not write into a checkout.
    _run("apt-get", "-o", "APT::Sandbox::User=root", "download", "-q", package, cwd=work, timeout=90)
    _run("dpkg-deb", "-x", next(work.glob("*.deb")), work / "root")
    (work / "root").rename(CACHE / package)
    shutil.rmtree(work)


def kernel():
    """A folder with boot/vmlinuz-* and lib/modules/*."""
    CACHE.mkdir(parents=True, exist_ok=True)
    cached = sorted(p for p in CACHE.glob("linux-image-*") if (p / "boot").is_dir())
    try:
        try:
            package = _newest_package()
        except Unavailable:
            _run("apt-get", "update", "-qq", timeout=60)
            package = _newest_package()
        if not (CACHE / package).is_dir():
            try:
                _download(package)
            except Unavailable:
                _run("apt-get", "update", "-qq", timeout=60)
                package = _newest_package()
                _download(package)
        return CACHE / package
    except (Unavailable, subprocess.TimeoutExpired) as e:
        if cached:
            return cached[-1]
        raise Unavailable(f"the guest's kernel cannot be fetched: {e}") from e


def _libraries(path):
    """The shared objects that a program or driver is linked with, and the loader."""
    text = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
    return [pathlib.Path(p) for p in re.findall(r"(/\S+) \(0x", text)]


class Tree:
    """The initramfs as a folder. /bin, /lib and /lib64 are links, as on Debian."""

    def __init__(self, path):
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        for d in ("bin", "lib", "lib64"):
            (path / "usr" / d).mkdir(parents=True)
            (path / d).symlink_to(f"usr/{d}")
        (path / "var").mkdir()
        (path / "var/run").symlink_to("../run")

    def copy(self, source, target=None):
        """A file, under its own name or another; what a link points to is copied and the link stays one."""
        source = pathlib.Path(source)
        copy = self.path / str(target or source).lstrip("/")
        if copy.is_symlink() or copy.exists():
            return
        copy.parent.mkdir(parents=True, exist_ok=True)
        if target is None and source.is_symlink():
            self.copy(os.path.normpath(source.parent / os.readlink(source)))
            copy.symlink_to(os.readlink(source))
        else:
            shutil.copy(source, copy)

    def program(self, source, target=None):
        self.copy(source, target)
        for library in _libraries(source):
            self.copy(library)

    def driver(self, name, pmds):
        """One file under two names: loaded twice, a driver would register twice."""
        for folder in (pmds, LIBRARIES):
            for path in sorted(folder.glob(f"librte_{name}.so.*")):
                self.program(path)

    def modules(self, root):
        version = next((root / "lib/modules").iterdir()).name
        if not (root / "lib/modules" / version / "modules.dep").exists():
            _run("depmod", "-b", root, version)
        for name in MODULES:
            text = _run("modprobe", "-d", root, "-S", version, "--show-depends", name)
            for path in re.findall(r"^insmod (\S+)", text, re.M):
                self.copy(path, pathlib.Path("usr") / pathlib.Path(path).relative_to(root))
        for table in ("modules.order", "modules.builtin"):
            self.copy(root / "lib/modules" / version / table, f"usr/lib/modules/{version}/{table}")
        _run("depmod", "-b", self.path, version)

    def pack(self, out):
        names = subprocess.run(["find", ".", "-print0"], cwd=self.path, stdout=subprocess.PIPE, check=True).stdout
        with open(out, "wb") as f:
            subprocess.run(["cpio", "--null", "-o", "-H", "newc", "--quiet"], cwd=self.path, input=names, stdout=f, check=True)


def build():
    """(kernel, initramfs) as paths."""
    root = kernel()
    tree = Tree(CACHE / "tree")
    siplane = pathlib.Path(os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane"))
    tree.copy("/usr/bin/busybox", "usr/bin/busybox")
    (tree.path / "usr/bin/sh").symlink_to("busybox")
    for name, program in (("siplane", siplane), ("siplane-gen", GEN)):
        tree.program(program, f"usr/bin/{name}")
        if shutil.which("strip"):
            subprocess.run(["strip", tree.path / "usr/bin" / name], check=True)
    pmds = next((LIBRARIES / "dpdk").glob("pmds-*"), None)
    if pmds is None:
        raise Unavailable("DPDK's drivers are not installed: tools/install-packages build")
    for name in DRIVERS:
        tree.driver(name, pmds)
    tree.modules(root)
    for path in (ROOT / "conf").iterdir():
        if path.is_file():
            tree.copy(path, f"conf/{path.name}")
    tree.copy(ROOT / "conf/gen/invite.gen", "conf/gen/invite.gen")
    (tree.path / "conf/siplane.cfg").write_text(CONFIG)
    for path in [ROOT / "drivers-config/bind", ROOT / "drivers-config/hugepages", *(ROOT / "drivers-config/profiles").iterdir()]:
        tree.copy(path, path.relative_to(ROOT))
    tree.copy(HERE / "init", "init")
    out = CACHE / "initramfs.cpio"
    tree.pack(out)
    shutil.rmtree(tree.path)
    return next((root / "boot").glob("vmlinuz-*")), out
