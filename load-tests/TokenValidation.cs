using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Hosting.Authentication;

namespace Nephos.LoadTests;

/// <summary>How many tokens one thread verifies, with the verifier that every service has: no cloud runs, nothing is asked.</summary>
internal static class TokenValidation
{
    private const int Tokens = 1000;
    private const int RequestsPerLook = 100;

    public static async Task RunAsync(TimeSpan during, CancellationToken cancellationToken)
    {
        using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var signing = TokenSigningKey.FromPrivate("bench", pair.ExportPkcs8PrivateKey());
        using var verifier = new TokenVerifier(
            new Authority(TokenSigningKey.FromPublic("bench", signing.PublicKey.Span)), new RevocationTable(TimeProvider.System), TimeProvider.System,
            NullLogger<TokenVerifier>.Instance);
        await verifier.StartAsync(cancellationToken);
        var known = Enumerable.Range(0, Tokens).Select(_ => Make(signing)).ToArray();
        while (await verifier.FindClaimsAsync(known[0], cancellationToken) is null || !verifier.IsCurrent)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(1), cancellationToken);
        }

        await MeasureAsync("token validation, seen before", during, async index => await verifier.VerifyAsync(known[index % Tokens], "req-bench", cancellationToken));

        // Each is new to the verifier; as many as it can take in the time, with room.
        var fresh = Enumerable.Range(0, (int)(during.TotalSeconds * 50_000)).AsParallel().Select(_ => Make(signing)).ToArray();
        await MeasureAsync("token validation, first time (ES256)", during, async index => await verifier.VerifyAsync(fresh[index], "req-bench", cancellationToken), fresh.Length);
        await verifier.StopAsync(cancellationToken);
    }

    private static async Task MeasureAsync(string name, TimeSpan during, Func<int, ValueTask<Kernel.Operations.OperationContext?>> verify, int most = int.MaxValue)
    {
        var (cpu, clock, count) = (Environment.CpuUsage.TotalTime, Stopwatch.StartNew(), 0);
        while (clock.Elapsed < during && count + RequestsPerLook <= most)
        {
            for (var i = 0; i < RequestsPerLook; i++)
            {
                _ = await verify(count++) ?? throw new InvalidOperationException("A good token was refused.");
            }
        }
        var (elapsed, used) = (clock.Elapsed, Environment.CpuUsage.TotalTime - cpu);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{name,-38} {count / elapsed.TotalSeconds,12:0} /s on one thread, {used.TotalMicroseconds / count,8:0.00} µs CPU each"));
    }

    /// <summary>A token as identity makes them for a user with two roles in a project.</summary>
    private static string Make(TokenSigningKey key)
    {
        var now = DateTimeOffset.FromUnixTimeSeconds(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds());
        return TokenCodec.Encode(
            new TokenClaims
            {
                TokenId = Convert.ToBase64String(RandomNumberGenerator.GetBytes(16)),
                UserId = Guid.NewGuid().ToString("N"),
                UserDomainId = "default",
                IssuedAt = now,
                ExpiresAt = now.AddHours(1),
                Methods = ["password"],
                Scope = TokenScopeKind.Project,
                ScopeId = Guid.NewGuid().ToString("N"),
                ScopeDomainId = "default",
                Roles = ["member", "reader"],
            },
            key);
    }

    /// <summary>An authority in the same process that revokes nothing.</summary>
    private sealed class Authority(TokenSigningKey key) : ITokenAuthority
    {
        public TimeSpan MaxSilence => Timeout.InfiniteTimeSpan;

        public async IAsyncEnumerable<TokenAuthorityEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            yield return new TokenAuthorityEvent.Keys([key]);
            yield return new TokenAuthorityEvent.Synchronized();
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        }

        public ValueTask<IReadOnlyList<TokenSigningKey>> GetKeysAsync(CancellationToken cancellationToken) => ValueTask.FromResult<IReadOnlyList<TokenSigningKey>>([key]);

        public ValueTask<bool> IsValidAsync(string token, CancellationToken cancellationToken) => ValueTask.FromResult(true);
    }
}
