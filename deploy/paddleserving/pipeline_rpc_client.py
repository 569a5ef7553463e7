"""Send images to the service over gRPC; prints each answer.

    python deploy/paddleserving/pipeline_rpc_client.py
    python deploy/paddleserving/pipeline_rpc_client.py --endpoint 127.0.0.1:9993 --image_dir test_images --batch_size 2

--draw FOLDER saves what a detector's service draws: the images with their boxes.
Exit code: 0 every image was predicted, 1 the service does not answer or answers with an error.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.client import is_loopback, parse_args, run_client
from ppcls_lite.serving.program import load_proto
from ppcls_lite.utils.errors import UserError, run_main

METHOD = "/baidu.paddle_serving.pipeline_serving.PipelineService/inference"


def main():
    args = parse_args(__doc__, "--endpoint", "127.0.0.1:9993")
    # the messages alone: importing Paddle Serving takes half a second and makes a folder for logs
    messages = load_proto("paddle_serving_server", "pipeline/proto/pipeline_service_pb2.py")
    import grpc

    options = [
        ("grpc.enable_http_proxy", int(not is_loopback(args.endpoint))),
        ("grpc.max_receive_message_length", -1),  # drawings may have more than its 4 MB
    ]
    with grpc.insecure_channel(args.endpoint, options=options) as channel:
        inference = channel.unary_unary(
            METHOD,
            request_serializer=messages.Request.SerializeToString,
            response_deserializer=messages.Response.FromString,
        )

        def ask(request):
            try:
                answer = inference(messages.Request(**request), timeout=args.timeout)
            except grpc.RpcError as error:
                raise UserError(f"{args.endpoint}: no answer ({error.code().name}: {error.details()!s:.200})") from None
            return {"err_no": answer.err_no, "err_msg": answer.err_msg, "key": [*answer.key], "value": [*answer.value]}

        run_client(args, ask)


if __name__ == "__main__":
    run_main(main)
