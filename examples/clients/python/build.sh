python3 -m venv .venv
.venv/bin/pip install --quiet --requirement requirements.txt
.venv/bin/python -m grpc_tools.protoc --proto_path=../../../proto --python_out=. --pyi_out=. --grpc_python_out=. \
    countersign/v1/auth_service.proto countersign/v1/session.proto countersign/v1/tokens.proto countersign/v1/verification.proto
