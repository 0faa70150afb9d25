using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Nephos.Services.Tests.Compute;

internal sealed record RestAnswer(int Status, IHeaderDictionary Headers, string Text)
{
    public JsonObject Json => JsonNode.Parse(Text)!.AsObject();
}

/// <summary>Stands where Kestrel stands: requests go straight into the pipeline, without a socket.</summary>
internal sealed class InProcessServer : IServer
{
    private Func<IFeatureCollection, Task>? _process;

    public IFeatureCollection Features { get; } = new FeatureCollection();

    public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
        where TContext : notnull
    {
        _process = async features =>
        {
            var context = application.CreateContext(features);
            Exception? failure = null;
            try
            {
                await application.ProcessRequestAsync(context);
            }
            catch (Exception exception)
            {
                failure = exception;
                throw;
            }
            finally
            {
                application.DisposeContext(context, failure);
            }
        };
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
    }

    public async Task<RestAnswer> SendAsync(string method, string pathAndQuery, JsonNode? body, IEnumerable<KeyValuePair<string, string>> headers)
    {
        var question = pathAndQuery.IndexOf('?', StringComparison.Ordinal);
        var request = new HttpRequestFeature
        {
            Method = method,
            Scheme = "http",
            Protocol = "HTTP/1.1",
            Path = Uri.UnescapeDataString(question < 0 ? pathAndQuery : pathAndQuery[..question]),
            QueryString = question < 0 ? "" : pathAndQuery[question..],
            Body = new MemoryStream(Encoding.UTF8.GetBytes(body?.ToJsonString() ?? "")),
        };
        request.Headers["Host"] = "cloud.example";
        foreach (var (name, value) in headers)
        {
            request.Headers[name] = value;
        }
        using var output = new MemoryStream();
        var response = new HttpResponseFeature();
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(request);
        features.Set<IHttpResponseFeature>(response);
        features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(output));
        features.Set<IHttpRequestLifetimeFeature>(new HttpRequestLifetimeFeature());
        await _process!(features);
        return new RestAnswer(response.StatusCode, response.Headers, Encoding.UTF8.GetString(output.ToArray()));
    }
}
