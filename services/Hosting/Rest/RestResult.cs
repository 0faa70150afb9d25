using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Nephos.Hosting.Rest;

/// <summary>The answer to a REST call.</summary>
public sealed class RestResult
{
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly int _status;
    private readonly JsonNode? _body;
    private readonly Func<HttpContext, Task>? _write;
    private readonly List<KeyValuePair<string, string>> _headers = [];

    private RestResult(int status, JsonNode? body, Func<HttpContext, Task>? write)
    {
        _status = status;
        _body = body;
        _write = write;
    }

    public static RestResult Json(int status, JsonNode body) => new(status, body, null);

    public static RestResult Empty(int status) => new(status, null, null);

    /// <summary>The handler writes status, headers and body itself.</summary>
    public static RestResult Raw(Func<HttpContext, Task> write) => new(0, null, write);

    public RestResult WithHeader(string name, string value)
    {
        _headers.Add(new(name, value));
        return this;
    }

    internal async Task WriteAsync(HttpContext http)
    {
        foreach (var (name, value) in _headers)
        {
            http.Response.Headers[name] = value;
        }
        if (_write is not null)
        {
            await _write(http);
            return;
        }
        http.Response.StatusCode = _status;
        if (_body is null)
        {
            if (_status is not (StatusCodes.Status204NoContent or StatusCodes.Status304NotModified))
            {
                http.Response.ContentLength = 0;
            }
            return;
        }
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, WriterOptions))
        {
            _body.WriteTo(writer);
        }
        http.Response.ContentType ??= "application/json";
        http.Response.ContentLength = buffer.WrittenCount;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.Body.WriteAsync(buffer.WrittenMemory, http.RequestAborted);
        }
    }
}
