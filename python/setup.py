"""The compiled part, which is optional: without a compiler, or on another system, the package works in Python alone."""

from setuptools import Extension, setup

LIMITED_API = "0x030B0000"  # CPython 3.11: one file for all later versions

setup(
    ext_modules=[
        Extension(
            "histrio._core",
            sources=[f"src/{name}.c" for name in ("module", "page", "gate", "port", "port_write", "buffers", "memory", "plain", "call", "dispatch")],
            depends=["src/core.h"],
            define_macros=[("Py_LIMITED_API", LIMITED_API)],
            extra_compile_args=["-std=gnu17", "-O2", "-Wall", "-Wextra"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
