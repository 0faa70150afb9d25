using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Nephos.Protos.Errors.V1;

namespace Nephos.Kernel.Errors;

/// <summary>Carries a fault over gRPC as google.rpc.Status with ErrorInfo, and back.</summary>
public static class FaultStatus
{
    public const string Domain = "nephos";

    public static RpcException ToRpcException(this FaultException fault)
    {
        var info = new ErrorInfo { Reason = ErrorRules.NameOf(fault.Reason), Domain = Domain };
        info.Metadata.Add(fault.Metadata.ToDictionary());
        var status = new Google.Rpc.Status { Code = (int)fault.Rule.Code, Message = fault.Message, Details = { Any.Pack(info) } };
        if (fault.Metadata.TryGetValue("field", out var field))
        {
            status.Details.Add(Any.Pack(new BadRequest
            {
                FieldViolations = { new BadRequest.Types.FieldViolation { Field = field, Description = fault.Message } },
            }));
        }
        return status.ToRpcException();
    }

    /// <summary>The fault a Nephos service sent, or one made from the bare status code of a transport failure.</summary>
    public static FaultException ToFault(this RpcException exception)
    {
        var info = exception.GetRpcStatus()?.GetDetail<ErrorInfo>();
        if (info is { Domain: Domain })
        {
            return new FaultException(ErrorRules.Parse(info.Reason), exception.Status.Detail, info.Metadata.ToDictionary(), exception);
        }
        var reason = exception.StatusCode switch
        {
            StatusCode.Unavailable or StatusCode.DeadlineExceeded => ErrorReason.Unavailable,
            StatusCode.Unauthenticated => ErrorReason.Unauthenticated,
            StatusCode.PermissionDenied => ErrorReason.Forbidden,
            StatusCode.NotFound => ErrorReason.NotFound,
            StatusCode.InvalidArgument => ErrorReason.InvalidArgument,
            _ => ErrorReason.Unspecified,
        };
        return new FaultException(reason, exception.Status.Detail, cause: exception);
    }
}
