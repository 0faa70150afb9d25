using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Cinder;

/// <summary>The block storage REST API, version 3: where it is, how it refuses.</summary>
internal sealed class CinderDialect : RestDialect
{
    public static readonly Microversion Oldest = new(3, 0), Newest = new(3, 62);

    public override string Prefix => "/volume";

    public override MicroversionRange Microversions { get; } = new("volume", Oldest, Newest, LegacyHeader: null);

    public override bool AllowsTrailingSlash(string path) => path is "/" or "/v3/";

    // Broken preconditions are bad requests here, and a full quota is an entity too large.
    public override int StatusOf(FaultException fault) => fault.Reason switch
    {
        ErrorReason.Conflict => StatusCodes.Status400BadRequest,
        ErrorReason.QuotaExceeded => StatusCodes.Status413RequestEntityTooLarge,
        ErrorReason.StorageFull => StatusCodes.Status503ServiceUnavailable,
        _ => base.StatusOf(fault),
    };

    public override JsonNode ErrorBody(FaultException fault, int status)
    {
        if (status == StatusCodes.Status401Unauthorized)
            return new JsonObject { ["error"] = new JsonObject { ["code"] = 401, ["title"] = "Unauthorized", ["message"] = fault.Message } };
        // A path that is no route, as opposed to an object that is not there.
        if (status == StatusCodes.Status404NotFound && fault.Metadata.TryGetValue("kind", out var kind) && kind == "Resource")
        {
            return new JsonObject
            {
                ["message"] = "The resource could not be found.<br /><br />\n\n\n", ["code"] = "404 Not Found", ["title"] = "Not Found",
            };
        }
        return new JsonObject { [NameOf(status)] = new JsonObject { ["code"] = status, ["message"] = fault.Message } };
    }

    private static string NameOf(int status) => status switch
    {
        400 => "badRequest",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 or 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
}
