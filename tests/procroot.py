"""A root of files as the kernel shows them, made up: for what no machine can be asked to have."""

from __future__ import annotations

import os
from pathlib import Path

NETSTAT = (
    "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPHPHits\nTcpExt: 9 {0} {1} 8\n"
    "IpExt: InNoRoutes ListenOverflows\nIpExt: 5 5\nMPTcpExt: ListenDrops\nMPTcpExt: 7\n"
)
DEVICES = (
    "Inter-|   Receive                            |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
)


class Root:
    """Files below a directory; `at` is the uptime, which comes last in every change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("proc/self/smaps", "KernelPageSize:        4 kB\nMMUPageSize:       4 kB\n")
        self.write(
            "etc/passwd", f"nobody:x:65534:::\nme:x:{os.geteuid()}:0::/:\nme-too:x:0:0::/:\n"
        )
        self.stat([100, 0, 50, 1000, 5, 0, 0, 0, 0, 0])
        self.at(1000.0)

    def write(self, path: str, text: str | bytes) -> None:
        """A whole file at once, as the kernel gives it."""
        place = self.directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}")
        draft.write_bytes(text if isinstance(text, bytes) else text.encode())
        draft.replace(place)

    def at(self, uptime: float) -> None:
        """Let the server's clock stand there."""
        self.write("proc/uptime", f"{uptime:.2f} 99.00\n")

    def stat(
        self, cpu: list[int], interrupts: int = 0, switches: int = 0, running: int = 2
    ) -> None:
        times = " ".join(map(str, cpu))
        self.write(
            "proc/stat",
            f"cpu  {times}\ncpu0 {times}\ncpu1 {times}\nintr {interrupts} 1 2 3 {'0 ' * 3000}\n"
            f"ctxt {switches}\nbtime 1\nprocesses 9\nprocs_running {running}\nprocs_blocked 3\n",
        )

    def pressure(self, **totals: int) -> None:
        """PSI totals in microseconds, as `memory_full=5`."""
        for resource in ("cpu", "memory", "io"):
            self.write(
                f"proc/pressure/{resource}",
                "".join(
                    f"{share} avg10=9.99 avg60=9.99 avg300=9.99"
                    f" total={totals.get(f'{resource}_{share}', 0)}\n"
                    for share in ("some", "full")
                ),
            )

    def netstat(self, overflows: int, drops: int) -> None:
        self.write("proc/net/netstat", NETSTAT.format(overflows, drops))

    def network(self, **devices: tuple[int, int]) -> None:
        """Bytes received and sent per interface."""
        rows = (
            f"{name.replace('_', '-'):>6}:{into:8} 1 0 0 0 0 0 0 {out:8} 1 0 0 0 0 0 0\n"
            for name, (into, out) in devices.items()
        )
        self.write("proc/net/dev", DEVICES + "".join(rows))

    def disks(self, **busy: int) -> None:
        """Milliseconds with something to do per disk."""
        rows = (f"  8  0 {name} 1 2 3 4 5 6 7 8 0 {ms} 11\n" for name, ms in busy.items())
        self.write("proc/diskstats", "".join(rows))

    def hardware(self, *paths: str) -> None:
        """Devices of sysfs, as `net/eth0` or `block/sda`."""
        for path in paths:
            place = f"class/{path}" if path.startswith("net") else path
            self.write(f"sys/{place}/device/uevent", "DRIVER=virtio\n")

    def process(
        self, pid: int, comm: bytes, *, state: str = "S", ticks: int = 0, start: int = 5,
        pages: int = 100, cgroup: str = "0::/\n",
    ) -> None:  # fmt: skip
        rest = f" {state} 1 1 1 0 -1 4194560 1 2 3 4 {ticks - ticks // 3} {ticks // 3} 0 0 20 0 1 0"
        self.write(f"proc/{pid}/cgroup", cgroup)
        self.write(
            f"proc/{pid}/stat",
            f"{pid} (".encode()
            + comm
            + f"){rest} {start} 9999999 {pages} 18446744073709551615 1\n".encode(),
        )
