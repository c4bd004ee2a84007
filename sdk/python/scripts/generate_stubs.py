"""Makes the stubs of the contract that are checked in, from proto/ at the root of the repository:

    scripts/plugin pypi grpcio-tools==1.76.0 sdk/python/scripts/generate_stubs.py [FOLDER]

grpcio-tools is kept at the oldest release whose stubs the newest protobuf still takes, so that users are free to have any
protobuf since 6.31. It makes the messages with their types, and the services without, so those types are written here.
"""

import pathlib
import sys
import tempfile

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

HERE = pathlib.Path(__file__).resolve()
PROTO = HERE.parents[3] / "proto"
HEAD = '''"""Types of the services in {source}."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

'''


def package_of(file):
    """Where Python has a file's code: countersign/v1/user_service.proto is in countersign.v1."""
    return ".".join(pathlib.PurePosixPath(file.name).parent.parts)


def types_of(file, messages):
    """The types of a file's services: the stub of a grpc.Channel, and the same of a grpc.aio.Channel."""
    modules = sorted(
        {
            messages[name][:2]
            for service in file.service
            for method in service.method
            for name in (method.input_type, method.output_type)
        }
    )
    lines = [HEAD.format(source=file.name)]
    lines += [f"from {package} import {module}\n" for package, module in modules]
    for service in file.service:
        for suffix, package in (("Stub", "grpc"), ("AsyncStub", "grpc.aio")):
            lines.append(f"\nclass {service.name}{suffix}:\n    def __init__(self, channel: {package}.Channel) -> None: ...\n")
            lines += [
                f"    {method.name}: {package}.{kind(method)}MultiCallable[{types(method, messages)}]\n"
                for method in service.method
            ]
        lines.append(f"\nclass {service.name}Servicer:\n")
        lines += [servicer_method(method, messages) for method in service.method]
        lines.append(
            f"\ndef add_{service.name}Servicer_to_server(\n"
            f"    servicer: {service.name}Servicer, server: Union[grpc.Server, grpc.aio.Server]\n) -> None: ...\n"
        )
    return "".join(lines)


def kind(method):
    return ("Stream" if method.client_streaming else "Unary") + ("Stream" if method.server_streaming else "Unary")


def types(method, messages):
    return ", ".join(".".join(messages[name][1:]) for name in (method.input_type, method.output_type))


def servicer_method(method, messages):
    request, argument = ".".join(messages[method.input_type][1:]), "request"
    if method.client_streaming:
        request, argument = f"Union[Iterator[{request}], AsyncIterator[{request}]]", "request_iterator"
    # A servicer is one of grpc.Server or of grpc.aio.Server, and answers accordingly.
    return f"    def {method.name}(self, {argument}: {request}, context: Any) -> Any: ...\n"


def main(output):
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("countersign/**/*.proto"))
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        descriptors = pathlib.Path(folder) / "descriptors"
        arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}", f"--descriptor_set_out={descriptors}"]
        arguments += [f"--{kind}_out={output}" for kind in ("python", "pyi", "grpc_python")]
        if protoc.main(arguments + files) != 0:
            sys.exit(1)
        described = FileDescriptorSet.FromString(descriptors.read_bytes())
    messages = {
        f".{file.package}.{message.name}": (package_of(file), pathlib.Path(file.name).stem + "_pb2", message.name)
        for file in described.file
        for message in file.message_type
    }
    for file in described.file:
        services = (output / file.name).with_name(pathlib.Path(file.name).stem + "_pb2_grpc.py")
        if file.service:
            services.with_suffix(".pyi").write_text(types_of(file, messages))
        else:
            services.unlink()


target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parents[1] / "src").resolve()
target.mkdir(parents=True, exist_ok=True)
main(target)
