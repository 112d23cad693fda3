"""Kubernetes, Cilium, CoreDNS, helm 3 and helm 4, built from the Go modules that `modules/*/go.sum` pins."""

from dataclasses import dataclass, field
from pathlib import Path

from lab import toolchain
from lab.buildcache import cached, digest
from lab.paths import HERE
from lab.settings import CILIUM_MODULES, KUBERNETES_VERSION
from lab.shell import run


@dataclass(frozen=True, slots=True)
class GoModule:
    """One pinned module; `programs` maps package → name of the program. `tags` are build tags."""

    folder: str
    programs: dict[str, str]
    variables: dict[str, str]
    tags: str = field(default="", repr=False)  # so a module without tags keeps its key in the cache

    @property
    def source(self) -> Path:
        return HERE / "modules" / self.folder

    @property
    def ldflags(self) -> str:
        return " ".join(["-s -w", *(f"-X '{name}={value}'" for name, value in self.variables.items())])

    def build(self) -> Path:
        """Directory with the programs, built if not in the cache."""
        return cached("bin", self.folder, digest(self.source, f"{self!r}{self.tags}"), self._build)

    def _build(self, out: Path) -> None:
        run(
            *(
                toolchain.go(),
                "build",
                "-trimpath",
                "-mod=readonly",
                "-tags",
                self.tags,
                "-ldflags",
                self.ldflags,
            ),
            *("-o", f"{out}/", *self.programs),
            cwd=self.source,
            env=toolchain.environment(),
        )
        for package, program in self.programs.items():
            (out / package.rpartition("/")[2]).rename(out / program)

    def module_dir(self, module: str) -> Path:
        """Directory with the module's source, including chart and BPF templates."""
        listed = run(
            *(toolchain.go(), "list", "-m", "-f", "{{.Dir}}", module),
            cwd=self.source,
            env=toolchain.environment(),
        ).stdout.strip()
        return Path(listed)


KUBERNETES = GoModule(
    "kubernetes",
    {
        f"k8s.io/kubernetes/cmd/{name}": name
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
    },
    {"k8s.io/component-base/version.gitVersion": f"v{KUBERNETES_VERSION}"},
)
COREDNS = GoModule("coredns", {"github.com/coredns/coredns": "coredns"}, {})
HELM = GoModule("helm", {"helm.sh/helm/v3/cmd/helm": "helm"}, {})
HELM_4 = GoModule("helm-4", {"helm.sh/helm/v4/cmd/helm": "helm"}, {})


def cilium(version: str) -> GoModule:
    base = "github.com/cilium/cilium"
    return GoModule(
        CILIUM_MODULES[version],
        {
            f"{base}/daemon": "cilium-agent",
            f"{base}/cilium-dbg": "cilium-dbg",
            f"{base}/cilium-health": "cilium-health",
            f"{base}/cilium-health/responder": "cilium-health-responder",
            f"{base}/hubble": "hubble",
            f"{base}/operator": "cilium-operator-generic",
            f"{base}/plugins/cilium-cni": "cilium-cni",
            f"{base}/tools/mount": "cilium-mount",
        },
        # A release has "VERSION REVISION DATE"; without them `cilium-dbg status` shows an empty version.
        {
            f"{base}/pkg/version.ciliumVersion": f"{version} lab 1970-01-01",
            f"{base}/hubble/pkg.Version": f"v{version}",
        },
        # As operator/Makefile builds cilium-operator-generic: with the cluster-pool allocator.
        "ipam_provider_operator",
    )
