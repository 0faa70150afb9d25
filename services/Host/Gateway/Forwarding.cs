using System.Collections.Concurrent;
using Nephos.Hosting.Discovery;
using Yarp.ReverseProxy.Forwarder;

namespace Nephos.Host.Gateway;

/// <summary>Hands a request to one of the processes of a role, and to another when that is safe.</summary>
/// <remarks>
/// A request that no process got may go to the next one whatever it is. One that a process may have got is repeated only when doing it
/// twice is doing it once, and it has no body that was read already.
/// </remarks>
internal sealed class Forwarding(IServiceDirectory directory, IHttpForwarder forwarder, HttpMessageInvoker client, TimeProvider time)
{
    /// <summary>Rounds over the processes of a role: a process that is started again is back within a second or two.</summary>
    private const int MaxRounds = 4;

    private static readonly TimeSpan PauseBetweenRounds = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan RefusalCounts = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<Uri, long> _refusedAt = new();

    /// <param name="http">The request.</param>
    /// <param name="role">Who serves it.</param>
    /// <param name="addressOf">The address to forward to, from the gRPC address by which a process is known.</param>
    /// <param name="config">How to forward.</param>
    /// <param name="transformer">What to change on the way.</param>
    public async Task SendAsync(HttpContext http, string role, Func<Uri, string> addressOf, ForwarderRequestConfig config, HttpTransformer transformer)
    {
        for (var round = 1; ; round++)
        {
            var addresses = directory.AddressesOf(role) ?? [];
            foreach (var address in AddressTurns.Next(addresses, WasRefusedLately))
            {
                http.Response.Clear();
                var error = await forwarder.SendAsync(http, addressOf(address), client, config, transformer);
                if (error == ForwarderError.None)
                {
                    return;
                }
                var isUnsent = http.GetForwarderErrorFeature()?.Exception is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError };
                if (isUnsent)
                {
                    _refusedAt[address] = time.GetTimestamp();
                }
                if (http.Response.HasStarted || http.RequestAborted.IsCancellationRequested || !(isUnsent || (error == ForwarderError.Request && IsRepeatable(http.Request))))
                {
                    return;
                }
            }
            if (round == MaxRounds)
            {
                break;
            }
            await Task.Delay(PauseBetweenRounds, time, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        http.Response.Clear();
        http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        await http.Response.WriteAsync($"No process answers that serves '{role}'.", http.RequestAborted);
    }

    private static bool IsRepeatable(HttpRequest request) =>
        (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || HttpMethods.IsOptions(request.Method))
        && request.ContentLength is null or 0 && request.Headers.TransferEncoding.Count == 0;

    private bool WasRefusedLately(Uri address) => _refusedAt.TryGetValue(address, out var at) && time.GetElapsedTime(at) < RefusalCounts;
}
