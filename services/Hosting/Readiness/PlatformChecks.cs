using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Hosting.Readiness;

/// <summary>What every role needs: records can be read, tokens can be verified and obtained.</summary>
internal static class PlatformChecks
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(3);

    public static void AddPlatformChecks(this IHealthChecksBuilder checks) => checks
        .AddCheck<StateCheck>("state", timeout: Timeout)
        .AddCheck<TokenCheck>("identity", timeout: Timeout)
        .AddCheck<DependencyCheck>("services", timeout: Timeout);

    /// <summary>Answers 200 and <c>OK</c>, or 503 and the names of what does not hold. Reasons are for the status page: anyone may ask here.</summary>
    public static async Task AnswerAsync(HttpContext http)
    {
        var report = await http.RequestServices.GetRequiredService<HealthCheckService>().CheckHealthAsync(http.RequestAborted);
        var failed = report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).Select(entry => entry.Key).ToList();
        http.Response.ContentType = "text/plain";
        http.Response.StatusCode = failed.Count == 0 ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        await http.Response.WriteAsync(failed.Count == 0 ? "OK" : string.Join('\n', failed), http.RequestAborted);
    }
}

/// <summary>The state store answers and takes commits.</summary>
internal sealed class StateCheck(IStateStore store) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            await store.GetRevisionAsync(cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (Exception exception) when (exception is StateUnavailableException or ObjectDisposedException)
        {
            return HealthCheckResult.Unhealthy(exception.Message);
        }
    }
}

/// <summary>Revocations are followed, and this process has a token of its own to show to the other services.</summary>
internal sealed class TokenCheck(TokenVerifier verifier, IServiceTokenSource tokens) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            await tokens.GetAsync(cancellationToken);
            return verifier.IsCurrent ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("revocations are not followed yet");
        }
        catch (FaultException fault)
        {
            return HealthCheckResult.Unhealthy(fault.Message);
        }
    }
}

/// <summary>The services that this process calls, and that run in others, can be reached.</summary>
/// <remarks>Whether they are healthy is for them to say: services call each other both ways, and would wait for each other for ever.</remarks>
internal sealed class DependencyCheck(ServiceChannels channels, IEnumerable<ServiceDependency> dependencies) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        await channels.FindUnreachableAsync(dependencies.Select(dependency => dependency.Service), cancellationToken) is { } reason
            ? HealthCheckResult.Unhealthy(reason)
            : HealthCheckResult.Healthy();
}
