protoc --proto_path=../../../proto \
    --plugin=protoc-gen-go="$(go tool -n protoc-gen-go)" --go_out=. --go_opt=module=countersign.dev/go \
    --plugin=protoc-gen-go-grpc="$(go tool -n protoc-gen-go-grpc)" --go-grpc_out=. --go-grpc_opt=module=countersign.dev/go \
    countersign/v1/auth_service.proto countersign/v1/session.proto countersign/v1/tokens.proto countersign/v1/verification.proto
go build -o main .
