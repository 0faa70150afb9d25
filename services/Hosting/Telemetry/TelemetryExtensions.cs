using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Nephos.Hosting.Telemetry;

internal static class TelemetryExtensions
{
    /// <summary>The standard OpenTelemetry variable; traces, logs and pushed metrics exist only when it names a collector.</summary>
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    public static void AddNephosTelemetry(this IServiceCollection services, IConfiguration configuration, NephosOptions options)
    {
        var pushes = !string.IsNullOrEmpty(configuration[EndpointVariable]);
        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("nephos", serviceInstanceId: options.NodeName))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter("Nephos.*").AddAspNetCoreInstrumentation().AddRuntimeInstrumentation().AddPrometheusExporter();
                if (pushes)
                {
                    metrics.AddOtlpExporter();
                }
            });
        if (pushes)
        {
            telemetry.WithTracing(tracing => tracing.AddSource("Nephos.*").AddAspNetCoreInstrumentation().AddOtlpExporter());
            services.AddLogging(logging => logging.AddOpenTelemetry(log =>
            {
                log.IncludeScopes = true;
                log.AddOtlpExporter();
            }));
        }
    }

    /// <summary>Serves /metrics to this machine only; a scraper elsewhere is given an OTLP collector instead.</summary>
    public static void MapTelemetry(this WebApplication app) =>
        app.UseOpenTelemetryPrometheusScrapingEndpoint(http =>
            http.Request.Path == "/metrics" && http.Connection.RemoteIpAddress is { } remote && IPAddress.IsLoopback(remote));
}
