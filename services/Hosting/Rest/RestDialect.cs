using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Nephos.Kernel.Errors;

namespace Nephos.Hosting.Rest;

/// <summary>How one OpenStack service speaks: where it is mounted, how its errors look, which versions it knows.</summary>
public abstract class RestDialect
{
    /// <summary>The path prefix, such as <c>/compute</c>.</summary>
    public abstract string Prefix { get; }

    /// <summary>The types that the catalog lists this service under; access rules name one of them.</summary>
    public virtual IReadOnlyList<string> ServiceTypes => Prefix switch
    {
        "/volume" => ["volumev3", "block-storage", "volume"],
        "/object" => ["object-store"],
        _ => [Prefix.TrimStart('/')],
    };

    /// <summary>Null when the API has no microversions.</summary>
    public virtual MicroversionRange? Microversions => null;

    /// <summary>The error envelope.</summary>
    public abstract JsonNode ErrorBody(FaultException fault, int status);

    /// <summary>Where a dialect answers with another status than the reason's rule says.</summary>
    public virtual int StatusOf(FaultException fault) => fault.Rule.HttpStatus;

    /// <summary>Headers that go on every answer, beside the request id.</summary>
    public virtual void Decorate(HttpContext http)
    {
    }

    /// <summary>
    /// Whether a path (below the prefix) may end in a slash. Elsewhere the slash stands before an empty id, which is not found.
    /// </summary>
    public virtual bool AllowsTrailingSlash(string path) => path is "/";
}
