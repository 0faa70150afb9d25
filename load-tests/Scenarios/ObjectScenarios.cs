using System.Globalization;
using Nephos.LoadTests.Running;

namespace Nephos.LoadTests.Scenarios;

/// <summary>Puts, gets, lists and deletes of objects of one size through the Swift or the S3 face.</summary>
internal static class ObjectScenarios
{
    private const int Prepared = 256;
    private const int CleanUpParallelism = 16;

    public static Scenario Create(Target target, string face, string operation, long sizeBytes, IReadOnlyList<LoadSimulation> load)
    {
        var container = $"bench-{face}-{operation}-{Guid.NewGuid().ToString("N")[..8]}";
        var signer = new AwsSigner(target.Ec2.Access, target.Ec2.Secret, target.Region);
        var payload = new byte[sizeBytes];
        new Random(1).NextBytes(payload);
        long written = 0;

        HttpRequestMessage Request(HttpMethod method, string key, byte[]? body = null)
        {
            var path = key.Length > 0 ? $"{container}/{key}" : container;
            var request = face == "swift"
                ? target.Request(method, $"{target.SwiftUrl}/{path}")
                : new HttpRequestMessage(method, $"{target.S3Url}/{path}");
            if (body is not null)
            {
                request.Content = new ByteArrayContent(body);
            }
            if (face == "s3")
            {
                signer.Sign(request, TimeProvider.System.GetUtcNow());
            }
            return request;
        }

        async Task<Response> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            using (request)
            using (var response = await target.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken))
            {
                var buffer = new byte[256 * 1024];
                long received = 0;
                await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
                int read;
                while ((read = await body.ReadAsync(buffer, cancellationToken)) > 0)
                {
                    received += read;
                }
                return response.IsSuccessStatusCode
                    ? Response.Ok(request.Content?.Headers.ContentLength ?? received)
                    : Response.Fail($"{(int)response.StatusCode} {response.ReasonPhrase}");
            }
        }

        async Task PrepareAsync(CancellationToken cancellationToken)
        {
            await SendAsync(Request(HttpMethod.Put, "", []), cancellationToken);
            var count = operation switch { "put" => 0, "delete" => 20_000, _ => sizeBytes > 1_000_000 ? 4 : Prepared };
            await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = CleanUpParallelism, CancellationToken = cancellationToken },
                async (index, token) => await SendAsync(Request(HttpMethod.Put, Key(index), payload), token));
            written = count;
        }

        async Task CleanAsync(CancellationToken cancellationToken)
        {
            if (operation != "delete")
            {
                await Parallel.ForEachAsync(Range(written), new ParallelOptions { MaxDegreeOfParallelism = CleanUpParallelism, CancellationToken = cancellationToken },
                    async (index, token) => await SendAsync(Request(HttpMethod.Delete, Key(index)), token));
            }
        }

        return new Scenario($"{face} {operation} {Size(sizeBytes)}", PrepareAsync, context => operation switch
        {
            "put" => SendAsync(Request(HttpMethod.Put, Key(Interlocked.Increment(ref written) - 1), payload), context.Cancelled),
            "get" => SendAsync(Request(HttpMethod.Get, Key(context.Iteration % written)), context.Cancelled),
            "head" => SendAsync(Request(HttpMethod.Head, Key(context.Iteration % written)), context.Cancelled),
            "list" => SendAsync(Request(HttpMethod.Get, ""), context.Cancelled),
            "delete" => SendAsync(Request(HttpMethod.Delete, Key(context.Iteration)), context.Cancelled),
            _ => throw new ArgumentException($"There is no object operation '{operation}'; put, get, head, list and delete are."),
        }, CleanAsync, load);
    }

    private static IEnumerable<long> Range(long count)
    {
        for (long index = 0; index < count; index++)
        {
            yield return index;
        }
    }

    private static string Key(long index) => index.ToString("x8", CultureInfo.InvariantCulture);

    private static string Size(long bytes) => bytes >= 1 << 20 ? $"{bytes >> 20} MiB" : $"{bytes >> 10} KiB";
}
