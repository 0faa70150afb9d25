using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Rest;

/// <summary>The compute REST API 2.1 with its microversions. The older /v2 is the same without microversions.</summary>
internal sealed class ComputeDialect : RestDialect
{
    public static readonly ComputeDialect Instance = new();

    public static readonly Microversion Minimum = new(2, 1);
    public static readonly Microversion Maximum = new(2, 93);

    /// <summary>Where the routes are mounted below the prefix.</summary>
    public static readonly string[] Roots = ["/v2.1", "/v2"];

    private static readonly MicroversionRange Range = new("compute", Minimum, Maximum, "X-OpenStack-Nova-API-Version");

    private ComputeDialect()
    {
    }

    public override string Prefix => "/compute";

    public override MicroversionRange? Microversions => Range;

    public override bool AllowsTrailingSlash(string path) => path is "/" or "/v2.1/" or "/v2/";

    public override int StatusOf(FaultException fault) => fault.Reason switch
    {
        // Other services word their quotas differently; here every quota is a 403.
        ErrorReason.NetworkQuotaExceeded => StatusCodes.Status403Forbidden,
        _ => fault.Rule.HttpStatus,
    };

    public override void Decorate(HttpContext http) =>
        http.Response.Headers["x-compute-request-id"] = http.Response.Headers["x-openstack-request-id"];

    public override JsonNode ErrorBody(FaultException fault, int status) => status == StatusCodes.Status401Unauthorized
        ? new JsonObject { ["error"] = new JsonObject { ["message"] = fault.Message, ["code"] = status, ["title"] = "Unauthorized" } }
        : new JsonObject { [NameOf(status)] = new JsonObject { ["code"] = status, ["message"] = fault.Message } };

    private static string NameOf(int status) => status switch
    {
        StatusCodes.Status400BadRequest => "badRequest",
        StatusCodes.Status403Forbidden => "forbidden",
        StatusCodes.Status404NotFound => "itemNotFound",
        StatusCodes.Status405MethodNotAllowed => "badMethod",
        StatusCodes.Status409Conflict => "conflictingRequest",
        StatusCodes.Status413PayloadTooLarge or StatusCodes.Status429TooManyRequests => "overLimit",
        StatusCodes.Status415UnsupportedMediaType => "badMediaType",
        StatusCodes.Status501NotImplemented => "notImplemented",
        StatusCodes.Status503ServiceUnavailable => "serviceUnavailable",
        _ => "computeFault",
    };
}
