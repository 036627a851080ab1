"""One distribution, four import packages, each in a folder of its own.

A bare install is the light client.  Everything heavier is an extra.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE_DIR = {
    "bertfeat": "bertfeat",
    "bertfeat_client": "client/bertfeat_client",
    "bertfeat_server": "server/bertfeat_server",
    "bertfeat_tools": "tools/bertfeat_tools",
}

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "bertfeat/__init__.py").read_text("utf-8"))[1]

# tensorflow and tensorflow-cpu install the same module, as do the two builds of FAISS: exactly one
# of each, by platform.  CUDA builds exist for Linux only.
LINUX = "sys_platform == 'linux'"
NOT_LINUX = "sys_platform != 'linux'"
LINUX_X86 = "sys_platform == 'linux' and platform_machine == 'x86_64'"
NOT_LINUX_X86 = "sys_platform != 'linux' or platform_machine != 'x86_64'"
HAS_TENSORFLOW_CPU = f"({LINUX_X86}) or sys_platform == 'win32'"
NO_TENSORFLOW_CPU = f"({NOT_LINUX_X86}) and sys_platform != 'win32'"

CLIENT = ["numpy>=1.26", "pyzmq>=26"]
ANY_DEVICE = [
    "ai-edge-litert>=2.1",
    "click>=8.3",
    "filelock>=3.13",
    "huggingface_hub>=0.34",
    "keras>=3.10",
    "platformdirs>=4",
    "pyarrow>=17",
    "rich>=13",
    "safetensors>=0.4.5",
    "tokenizers>=0.21",
]
CPU = [
    "faiss-cpu>=1.10",
    f"tensorflow-cpu>=2.19; {HAS_TENSORFLOW_CPU}",
    f"tensorflow>=2.19; {NO_TENSORFLOW_CPU}",
]
CUDA = [
    f"faiss-gpu>=1.15; {LINUX_X86}",
    f"jax[cuda12]>=0.5; {LINUX}",
    f"tensorflow[and-cuda]>=2.19; {LINUX}",
    f"faiss-cpu>=1.10; {NOT_LINUX_X86}",
    f"jax>=0.5; {NOT_LINUX}",
    "tensorflow-cpu>=2.19; sys_platform == 'win32'",
    "tensorflow>=2.19; sys_platform == 'darwin'",
]
HTTP = [
    "msgspec>=0.20",
    "orjson>=3.10",
    "prometheus-client>=0.21",
    "starlette>=0.45",
    "uvicorn>=0.34",
]
SERVE = [*ANY_DEVICE, *CPU, *HTTP]
LITE = ["ai-edge-litert>=2.1", "click>=8.3", "tokenizers>=0.21"]
OTEL = ["opentelemetry-exporter-otlp-proto-http>=1.30", "opentelemetry-sdk>=1.30"]
TRAIN = ["scikit-learn>=1.5", "threadpoolctl>=3.1"]
ORACLES = [
    "pytorch-crf>=0.7.2",
    "sentence-transformers>=4",
    "seqeval>=1.2.2",
    "torch>=2.5",
    "transformers>=4.48",
]
TOOLS = [
    "build>=1.2",
    "bert-serving-client==1.10.0",
    "httpx>=0.27",
    "hypothesis>=6.150",
    "mypy>=1.15",
    "openai>=1.60",
    "psutil>=6",
    "pytest>=8.3",
    "pytest-timeout>=2.3",
    "ruff>=0.11",
    "uv>=0.6",
]

setup(
    name="bertfeat",
    version=VERSION,
    description="Text to BERT vectors, any layer, pooled or per token: library, server, search.",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        name
        for package, folder in PACKAGE_DIR.items()
        for name in [package, *(f"{package}.{sub}" for sub in find_packages(folder))]
    ],
    package_dir=PACKAGE_DIR,
    package_data={package: ["py.typed", "http/*.html"] for package in PACKAGE_DIR},
    install_requires=CLIENT,
    extras_require={
        "serve": SERVE,
        "lite": LITE,
        "train": [*SERVE, *TRAIN],
        "gpu": [*ANY_DEVICE, *TRAIN, *CUDA, *HTTP],
        "jax": ["jax>=0.5"],
        "cluster": ["ray>=2.40"],
        "otel": OTEL,
        "dev": [*SERVE, *TRAIN, *OTEL, *ORACLES, *TOOLS],
    },
    entry_points={
        "console_scripts": [
            "bertfeat=bertfeat_tools.cli:main",
            "extract_features=bertfeat_tools.cli:extract_features",
            "bertfeat-serve=bertfeat_server.cli:main",
        ]
    },
)
