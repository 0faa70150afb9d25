using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nephos.Hosting;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests.Hosting;

/// <summary>What a process tells an OpenTelemetry collector, over the protocol it speaks when only the endpoint is set: OTLP over gRPC.</summary>
public sealed partial class OtlpExportTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-otlp-");
    private readonly ConcurrentDictionary<string, string> _received = new(StringComparer.Ordinal);
    private WebApplication _collector = null!;
    private int _port;

    public async Task InitializeAsync()
    {
        _port = FreePorts.Take();
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenLocalhost(_port, listen => listen.Protocols = HttpProtocols.Http2));
        _collector = builder.Build();
        _collector.Run(CollectAsync);
        await _collector.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _collector.StopAsync();
        await _collector.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Traces_metrics_and_logs_reach_the_collector_that_the_standard_variable_names()
    {
        var port = FreePorts.Take(1, NephosOptions.S3PortOffset);
        await using (var app = NephosApplication.Build(
            [new Role("test", _ => { }, mapped => mapped.MapGet("/traced-path", AnswerAsync))],
            new Dictionary<string, string?>
            {
                ["Nephos:StateDirectory"] = _folder.FullName,
                ["Nephos:PortBase"] = $"{port}",
                ["Nephos:NodeName"] = "traced-node",
                ["State:Engine"] = "Memory",
                ["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://127.0.0.1:{_port}",
            }))
        {
            await app.StartAsync();
            using var http = new HttpClient();
            Assert.Equal("seen", await http.GetStringAsync($"http://127.0.0.1:{port}/traced-path"));
            await app.StopAsync();
        }

        // Everything that waits is sent when the process ends.
        foreach (var (signal, text) in new[] { ("trace", "/traced-path"), ("metrics", "http.server.request.duration"), ("logs", "A request was seen") })
        {
            var sent = Assert.Single(_received, received => received.Key.Contains($".{signal}.", StringComparison.Ordinal)).Value;
            Assert.Contains(text, sent, StringComparison.Ordinal);
            Assert.Contains("traced-node", sent, StringComparison.Ordinal);
        }
    }

    private static Task AnswerAsync(HttpContext http)
    {
        LogSeen(http.RequestServices.GetRequiredService<ILogger<OtlpExportTests>>());
        return http.Response.WriteAsync("seen");
    }

    [LoggerMessage(LogLevel.Warning, "A request was seen")]
    private static partial void LogSeen(ILogger logger);

    // Takes any export and answers with an empty message, which means that all was taken.
    private async Task CollectAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        _received.AddOrUpdate(http.Request.Path, _ => Encoding.Latin1.GetString(body.ToArray()), (_, before) => before + Encoding.Latin1.GetString(body.ToArray()));
        http.Response.ContentType = "application/grpc";
        await http.Response.Body.WriteAsync(new byte[5]);
        http.Response.AppendTrailer("grpc-status", "0");
    }
}
