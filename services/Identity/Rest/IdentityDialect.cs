using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Identity.Rest;

/// <summary>The Identity API, version 3.</summary>
internal sealed class IdentityDialect : RestDialect
{
    public static readonly IdentityDialect Instance = new();

    public override string Prefix => "/identity";

    public override JsonNode ErrorBody(FaultException fault, int status) => new JsonObject
    {
        ["error"] = new JsonObject { ["code"] = status, ["message"] = MessageOf(fault), ["title"] = ReasonPhrases.GetReasonPhrase(status) },
    };

    public override void Decorate(HttpContext http) => http.Response.Headers.Append("Vary", "X-Auth-Token");

    public override bool AllowsTrailingSlash(string path) => path is "/" or "/v3/" or "/v3/OS-TRUST/trusts/";

    private static string MessageOf(FaultException fault) =>
        fault.Reason == ErrorReason.NotFound && fault.Metadata.TryGetValue("kind", out var kind) && fault.Metadata.TryGetValue("id", out var id)
            ? $"Could not find {kind}: {id}."
            : fault.Message;
}
