"""The generators of grpcio-tools as one plugin of buf: its protoc has them built in, and understands no plugin's options."""

import pathlib
import sys
import tempfile

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    descriptors, output = root / "descriptors", root / "output"
    descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
    output.mkdir()
    flags = [f"--descriptor_set_in={descriptors}"]
    flags += [f"--{kind}_out={output}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", *flags, *request.file_to_generate]) != 0:
        sys.exit(1)
    for path in sorted(output.rglob("*.py*")):
        response.file.add(name=path.relative_to(output).as_posix(), content=path.read_text())
sys.stdout.buffer.write(response.SerializeToString())
