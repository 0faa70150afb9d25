using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.Rest;

/// <summary>The Networking API v2.0 as its clients know it.</summary>
internal sealed class NetworkDialect : RestDialect
{
    public override string Prefix => "/network";

    public override JsonNode ErrorBody(FaultException fault, int status)
    {
        if (fault.Reason == ErrorReason.Unauthenticated)
        {
            return new JsonObject
            {
                ["error"] = new JsonObject { ["code"] = status, ["title"] = "Unauthorized", ["message"] = fault.Message },
            };
        }

        return new JsonObject
        {
            ["NeutronError"] = new JsonObject
            {
                ["type"] = fault.Reason switch
                {
                    ErrorReason.Forbidden => "PolicyNotAuthorized",
                    ErrorReason.InvalidArgument when fault.Metadata.ContainsKey("field") => "HTTPBadRequest",
                    ErrorReason.NotFound => "HTTPNotFound",
                    _ => fault.Rule.Fault,
                },
                ["message"] = fault.Message,
                ["detail"] = "",
            },
        };
    }

    public override bool AllowsTrailingSlash(string path) => path is "/" or "/v2.0/";
}
