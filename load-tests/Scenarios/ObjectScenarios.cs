using System.Globalization;
using Nephos.LoadTests.Running;

namespace Nephos.LoadTests.Scenarios;

/// <summary>What is asked of an object store.</summary>
/// <param name="Operation">put, get, head, list or delete.</param>
/// <param name="Prepared">Objects there before the load, for all but puts; null for a number that suits the operation.</param>
/// <param name="PageKeys">Keys asked for in one listing.</param>
internal sealed record ObjectLoad(string Operation, long SizeBytes, long? Prepared, int PageKeys);

/// <summary>Puts, gets, lists and deletes of objects of one size through the Swift or the S3 face.</summary>
internal static class ObjectScenarios
{
    private const int Parallelism = 16;
    private const int DeletedMax = 20_000;

    public static Scenario Create(HttpClient http, ObjectEndpoint endpoint, ObjectLoad wanted, IReadOnlyList<LoadSimulation> load)
    {
        var run = new Run(http, endpoint, wanted);
        return new Scenario(run.Name, run.PrepareAsync, run.IterateAsync, run.CleanAsync, load) { Server = endpoint.Server };
    }

    private sealed class Run(HttpClient http, ObjectEndpoint endpoint, ObjectLoad wanted)
    {
        private readonly string _container = $"bench-{wanted.Operation}-{Guid.NewGuid().ToString("N")[..8]}";
        private readonly byte[] _payload = Payload(wanted.Operation == "list" ? 0 : wanted.SizeBytes);
        private long _written;

        public string Name => string.Join(' ', new[]
        {
            endpoint.Label, endpoint.Face, wanted.Operation,
            wanted.Operation == "list" ? string.Create(CultureInfo.InvariantCulture, $"{wanted.PageKeys} of {Count}") : Size(wanted.SizeBytes),
        });

        private long Count => wanted.Operation == "put" ? 0 : wanted.Prepared ?? wanted.Operation switch
        {
            "delete" => DeletedMax,
            "list" => 10_000,
            _ => wanted.SizeBytes > 1_000_000 ? 4 : 256,
        };

        public async Task PrepareAsync(CancellationToken cancellationToken)
        {
            var made = await SendAsync(Request(HttpMethod.Put, "", []), cancellationToken);
            if (made.IsError)
            {
                throw new InvalidOperationException($"{endpoint.Label}: the container is refused: {made.Message}");
            }
            await ForAllAsync(Count, async (index, token) =>
            {
                if (await SendAsync(Request(HttpMethod.Put, Key(index), _payload), token) is { IsError: true } failed)
                {
                    throw new InvalidOperationException($"{endpoint.Label}: an object is refused: {failed.Message}");
                }
            }, cancellationToken);
            _written = Count;
        }

        public Task<Response> IterateAsync(ScenarioContext context) => wanted.Operation switch
        {
            "put" => SendAsync(Request(HttpMethod.Put, Key(Interlocked.Increment(ref _written) - 1), _payload), context.Cancelled),
            "get" => SendAsync(Request(HttpMethod.Get, Key(Spread(context.Iteration))), context.Cancelled),
            "head" => SendAsync(Request(HttpMethod.Head, Key(Spread(context.Iteration))), context.Cancelled),
            "list" => SendAsync(Request(HttpMethod.Get, Page(Key(Spread(context.Iteration) / wanted.PageKeys * wanted.PageKeys))), context.Cancelled),
            "delete" => SendAsync(Request(HttpMethod.Delete, Key(context.Iteration)), context.Cancelled),
            _ => throw new ArgumentException($"There is no object operation '{wanted.Operation}'; put, get, head, list and delete are."),
        };

        public async Task CleanAsync(CancellationToken cancellationToken)
        {
            // Deletes that failed because there was nothing left are no failures here.
            await ForAllAsync(wanted.Operation == "delete" ? 0 : _written, (index, token) => SendAsync(Request(HttpMethod.Delete, Key(index)), token), cancellationToken);
            await SendAsync(Request(HttpMethod.Delete, ""), cancellationToken);
        }

        private HttpRequestMessage Request(HttpMethod method, string target, byte[]? body = null)
        {
            var request = new HttpRequestMessage(method, $"{endpoint.BaseUrl}/{_container}{(target.Length == 0 || target[0] == '?' ? target : $"/{target}")}");
            if (body is not null)
            {
                request.Content = new ByteArrayContent(body);
            }
            endpoint.Authorize(request);
            return request;
        }

        private async Task<Response> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            using (request)
            using (var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken))
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

        /// <summary>Strides of a prime visit all objects and no two neighbours after each other.</summary>
        private long Spread(long iteration) => iteration * 7_368_787 % _written;

        private string Page(string marker)
        {
            var keys = wanted.PageKeys.ToString(CultureInfo.InvariantCulture);
            return endpoint.Face == "s3" ? $"?list-type=2&max-keys={keys}&start-after={marker}" : $"?format=json&limit={keys}&marker={marker}";
        }

        private static Task ForAllAsync(long count, Func<long, CancellationToken, Task> each, CancellationToken cancellationToken) => Parallel.ForEachAsync(
            Range(count), new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken },
            async (index, token) => await each(index, token));
    }

    private static byte[] Payload(long sizeBytes)
    {
        var payload = new byte[sizeBytes];
        new Random(1).NextBytes(payload);
        return payload;
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
