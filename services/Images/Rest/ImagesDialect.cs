using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Rest;

/// <summary>The Image API, version 2.</summary>
internal sealed class ImagesDialect : RestDialect
{
    public static readonly ImagesDialect Instance = new();

    public override string Prefix => "/image";

    public override JsonNode ErrorBody(FaultException fault, int status) => Error(status, fault.Message);

    public override bool AllowsTrailingSlash(string path) => path is "/" or "/v2/";

    public static JsonObject Error(int status, string message)
    {
        var title = ReasonPhrases.GetReasonPhrase(status);
        return new JsonObject { ["message"] = message, ["code"] = $"{status} {title}", ["title"] = title };
    }
}
