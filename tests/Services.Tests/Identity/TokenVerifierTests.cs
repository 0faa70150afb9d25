using System.Security.Cryptography;
using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Identity;

/// <summary>The verifier of a process that hears of revocations from somewhere else.</summary>
public sealed class TokenVerifierTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly FakeAuthority _authority = new();
    private readonly TokenVerifier _verifier;

    public TokenVerifierTests() => _verifier = new TokenVerifier(
        _authority, new RevocationTable(_time), _time, NullLogger<TokenVerifier>.Instance);

    public async Task InitializeAsync() => await _verifier.StartAsync(None);

    public async Task DisposeAsync()
    {
        await _verifier.StopAsync(None);
        _verifier.Dispose();
        _authority.Dispose();
    }

    [Fact]
    public async Task While_the_stream_is_heard_nobody_is_asked()
    {
        await SynchronizeAsync();
        var token = _authority.NewToken(_time);

        Assert.NotNull(await VerifyAsync(token));
        Assert.NotNull(await VerifyAsync(token));

        Assert.Equal(0, _authority.Asked);
    }

    [Fact]
    public async Task Before_the_stream_is_synchronized_each_token_is_asked_about()
    {
        var token = _authority.NewToken(_time);
        Assert.NotNull(await VerifyAsync(token));

        _authority.Valid = false;

        Assert.Null(await VerifyAsync(token));
        Assert.Equal(2, _authority.Asked);
    }

    [Fact]
    public async Task When_the_stream_falls_silent_each_token_is_asked_about_until_it_is_heard_again()
    {
        await SynchronizeAsync();
        var token = _authority.NewToken(_time);
        Assert.NotNull(await VerifyAsync(token));

        _time.Advance(_authority.MaxSilence + TimeSpan.FromMilliseconds(1));
        _authority.Valid = false;
        Assert.Null(await VerifyAsync(token));

        await _authority.TellAsync(new TokenAuthorityEvent.Heartbeat());
        Assert.NotNull(await VerifyAsync(token));
    }

    [Fact]
    public async Task When_nobody_can_be_asked_nothing_is_believed()
    {
        await SynchronizeAsync();
        var token = _authority.NewToken(_time);
        Assert.NotNull(await VerifyAsync(token));
        _time.Advance(_authority.MaxSilence + TimeSpan.FromMilliseconds(1));
        _authority.Reachable = false;

        var fault = await Assert.ThrowsAsync<FaultException>(() => VerifyAsync(token));

        Assert.Equal(ErrorReason.Unavailable, fault.Reason);
    }

    [Fact]
    public async Task A_revocation_kills_a_token_that_is_remembered()
    {
        await SynchronizeAsync();
        var (token, other) = (_authority.NewToken(_time), _authority.NewToken(_time, userId: "bob"));
        Assert.NotNull(await VerifyAsync(token));
        Assert.NotNull(await VerifyAsync(other));

        await _authority.TellAsync(new TokenAuthorityEvent.Revoked(
            new TokenRevocation(RevocationSubject.User("alice"), 1, _time.GetUtcNow() + TimeSpan.FromHours(1))));

        Assert.Null(await VerifyAsync(token));
        Assert.NotNull(await VerifyAsync(other));
        Assert.NotNull(await VerifyAsync(_authority.NewToken(_time, epochs: [0, 1])));
    }

    [Fact]
    public async Task After_a_lost_stream_what_was_missed_is_told_again()
    {
        await SynchronizeAsync();
        var token = _authority.NewToken(_time);
        Assert.NotNull(await VerifyAsync(token));
        _authority.Backlog.Add(new TokenAuthorityEvent.Revoked(
            new TokenRevocation(RevocationSubject.User("alice"), 1, _time.GetUtcNow() + TimeSpan.FromHours(1))));

        await _authority.BreakAsync();
        // The pause before the next stream is in the clock of the test.
        while (!_authority.BacklogTaken.IsCompleted)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        Assert.Null(await VerifyAsync(token));
    }

    [Fact]
    public async Task A_key_that_has_not_arrived_is_asked_for_but_not_each_time()
    {
        await SynchronizeAsync();
        var token = _authority.NewToken(_time, newKey: true);

        Assert.NotNull(await VerifyAsync(token));
        for (var attempt = 0; attempt < 5; attempt++)
        {
            Assert.Null(await VerifyAsync(_authority.NewToken(_time, unknownKey: true)));
        }

        Assert.Equal(1, _authority.KeysAsked);
        _time.Advance(TimeSpan.FromSeconds(1));
        await _authority.TellAsync(new TokenAuthorityEvent.Heartbeat());
        Assert.Null(await VerifyAsync(_authority.NewToken(_time, unknownKey: true)));
        Assert.Equal(2, _authority.KeysAsked);
    }

    private async Task SynchronizeAsync()
    {
        await _authority.TellAsync(new TokenAuthorityEvent.Synchronized());
        Assert.True(_verifier.IsCurrent);
    }

    private async Task<Nephos.Kernel.Operations.OperationContext?> VerifyAsync(string token) => await _verifier.VerifyAsync(token, "req-test", None);

    /// <summary>Tells what the test says; TellAsync returns when the verifier has taken it in.</summary>
    private sealed class FakeAuthority : ITokenAuthority, IDisposable
    {
        private readonly List<TokenSigningKey> _published = [];
        private readonly TokenSigningKey _key = NewKey("first");
        private Channel<(TokenAuthorityEvent? Event, TaskCompletionSource Taken)> _events = Channel.CreateUnbounded<(TokenAuthorityEvent?, TaskCompletionSource)>();
        private readonly TaskCompletionSource _backlogTaken = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _tokens;

        public FakeAuthority() => _published.Add(_key);

        public TimeSpan MaxSilence => TimeSpan.FromMilliseconds(900);

        public bool Valid { get; set; } = true;

        public bool Reachable { get; set; } = true;

        public int Asked { get; private set; }

        public int KeysAsked { get; private set; }

        /// <summary>What a new stream begins with.</summary>
        public List<TokenAuthorityEvent> Backlog { get; } = [];

        public Task BacklogTaken => _backlogTaken.Task;

        public async Task TellAsync(TokenAuthorityEvent told)
        {
            var taken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _events.Writer.TryWrite((told, taken));
            // A second one is asked for only after the first was applied.
            await taken.Task;
        }

        public async Task BreakAsync()
        {
            var taken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var broken = _events;
            _events = Channel.CreateUnbounded<(TokenAuthorityEvent?, TaskCompletionSource)>();
            broken.Writer.TryWrite((null, taken));
            await taken.Task;
        }

        public async IAsyncEnumerable<TokenAuthorityEvent> WatchAsync(
            [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var events = _events;
            yield return new TokenAuthorityEvent.Keys([_key]);
            var isAgain = Backlog.Count > 0;
            foreach (var missed in Backlog)
            {
                yield return missed;
            }
            if (isAgain)
            {
                yield return new TokenAuthorityEvent.Synchronized();
                _backlogTaken.SetResult();
            }
            await foreach (var (told, taken) in events.Reader.ReadAllAsync(cancellationToken))
            {
                if (told is null)
                {
                    taken.SetResult();
                    throw new IOException("The stream broke.");
                }
                yield return told;
                taken.SetResult();
            }
        }

        public ValueTask<IReadOnlyList<TokenSigningKey>> GetKeysAsync(CancellationToken cancellationToken)
        {
            KeysAsked++;
            return ValueTask.FromResult<IReadOnlyList<TokenSigningKey>>([.. _published]);
        }

        public ValueTask<bool> IsValidAsync(string token, CancellationToken cancellationToken)
        {
            Asked++;
            return Reachable ? ValueTask.FromResult(Valid) : throw Faults.Unavailable("The authority is away.");
        }

        public string NewToken(
            TimeProvider time, string userId = "alice", IReadOnlyList<long>? epochs = null, bool newKey = false, bool unknownKey = false)
        {
            var key = newKey || unknownKey ? NewKey($"key{_tokens}") : _key;
            if (newKey)
            {
                _published.Add(key);
            }
            return TokenCodec.Encode(
                new TokenClaims
                {
                    TokenId = $"token{_tokens++}",
                    UserId = userId,
                    UserDomainId = "default",
                    IssuedAt = time.GetUtcNow(),
                    ExpiresAt = time.GetUtcNow() + TimeSpan.FromHours(1),
                    Methods = ["password"],
                    Epochs = epochs ?? [],
                },
                key);
        }

        public void Dispose() => _published.ForEach(key => key.Dispose());

        private static TokenSigningKey NewKey(string id)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            return TokenSigningKey.FromPrivate(id, key.ExportPkcs8PrivateKey());
        }
    }
}
