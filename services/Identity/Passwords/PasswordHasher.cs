using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Konscious.Security.Cryptography;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Passwords;

/// <summary>Hashes secrets that people choose with Argon2id, and secrets that we make with one HMAC. Thread-safe.</summary>
/// <remarks>
/// Forms: <c>$argon2id$v=19$m=KIB,t=N,p=N$SALT$HASH</c> with the key of the cloud as Argon2's secret input, and
/// <c>$hmac-sha256$HASH</c>; both in base64 without padding. At most one Argon2 run per core at a time, a bounded number
/// waiting. A verdict "right" is kept for seconds under a key that only this process has, so that a tool that asks for many tokens
/// pays once.
/// </remarks>
internal sealed class PasswordHasher : IDisposable
{
    public const int MaxPasswordChars = 4096;

    private const string Argon2Prefix = "$argon2id$v=19$", HmacPrefix = "$hmac-sha256$";
    private const int SaltBytes = 16, HashBytes = 32, MaxVerdicts = 4096, MaxWaiting = 256;

    private readonly CloudKey _key;
    private readonly IdentityOptions _options;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _cores = new(Environment.ProcessorCount, Environment.ProcessorCount);
    private readonly byte[] _verdictKey = RandomNumberGenerator.GetBytes(32);
    private readonly ConcurrentDictionary<Verdict, DateTimeOffset> _verdicts = new();
    private readonly Lazy<string> _nobody;
    private int _waiting;

    public PasswordHasher(CloudKey key, IdentityOptions options, TimeProvider time)
    {
        _key = key;
        _options = options;
        _time = time;
        _nobody = new Lazy<string>(() => Compute(SecretFiles.NewPassword(), RandomNumberGenerator.GetBytes(SaltBytes), Current));
    }

    private Cost Current => new(_options.Argon2MemoryKiB, _options.Argon2Iterations, _options.Argon2Lanes);

    /// <exception cref="FaultException">InvalidArgument: empty or too long. Unavailable: too many are waiting.</exception>
    public async Task<string> HashAsync(string password, CancellationToken cancellationToken)
    {
        CheckLength(password);
        return await RunAsync(() => Compute(password, RandomNumberGenerator.GetBytes(SaltBytes), Current), cancellationToken);
    }

    /// <summary>For a secret with at least 128 random bits.</summary>
    public string HashRandom(string secret) => HmacPrefix + Encode(_key.HashSecret(secret));

    /// <exception cref="FaultException">Unavailable: too many are waiting.</exception>
    public async Task<bool> VerifyAsync(string hash, string password, CancellationToken cancellationToken)
    {
        if (password.Length is 0 or > MaxPasswordChars)
        {
            return await VerifyNobodyAsync(password, cancellationToken);
        }
        if (hash.StartsWith(HmacPrefix, StringComparison.Ordinal))
        {
            return SameText(hash, HashRandom(password));
        }
        var verdict = VerdictOf(hash, password);
        if (_verdicts.TryGetValue(verdict, out var until) && until > _time.GetUtcNow())
        {
            return true;
        }
        if (!await RunAsync(() => IsArgon2(hash, password), cancellationToken))
        {
            return false;
        }
        Remember(verdict);
        return true;
    }

    /// <summary>Takes as long as verifying a wrong password, so that nobody learns which users there are.</summary>
    public async Task<bool> VerifyNobodyAsync(string password, CancellationToken cancellationToken)
    {
        // Whatever the length, the work is the same.
        var guess = password.Length is 0 or > MaxPasswordChars ? "nobody" : password;
        await RunAsync(() => IsArgon2(_nobody.Value, guess), cancellationToken);
        return false;
    }

    /// <summary>Whether a hash was made with other parameters than are asked for now.</summary>
    public bool IsOutdated(string hash) =>
        !hash.StartsWith(HmacPrefix, StringComparison.Ordinal) && !hash.StartsWith(Argon2Prefix + Current + "$", StringComparison.Ordinal);

    public void Dispose() => _cores.Dispose();

    private static void CheckLength(string password)
    {
        if (password.Length is 0 or > MaxPasswordChars)
        {
            throw Faults.Invalid("password", $"must have 1 to {MaxPasswordChars} characters");
        }
    }

    private async Task<T> RunAsync<T>(Func<T> work, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _waiting) > MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            throw Faults.Unavailable("Too many passwords are being checked; try again later.");
        }
        try
        {
            await _cores.WaitAsync(cancellationToken);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
        try
        {
            return await Task.Run(work, cancellationToken);
        }
        finally
        {
            _cores.Release();
        }
    }

    private bool IsArgon2(string hash, string password)
    {
        var parts = hash.Split('$');
        return hash.StartsWith(Argon2Prefix, StringComparison.Ordinal) && parts.Length == 6 && Cost.Parse(parts[3]) is { } cost &&
            SameText(hash, Compute(password, Decode(parts[4]), cost));
    }

    private string Compute(string password, byte[] salt, Cost cost)
    {
        using var argon2 = new Argon2id(Encoding.UTF8.GetBytes(password))
        {
            Salt = salt,
            MemorySize = cost.MemoryKiB,
            Iterations = cost.Iterations,
            DegreeOfParallelism = cost.Lanes,
            KnownSecret = _key.Pepper,
        };
        return $"{Argon2Prefix}{cost}${Encode(salt)}${Encode(argon2.GetBytes(HashBytes))}";
    }

    private void Remember(Verdict verdict)
    {
        if (_options.PasswordVerdictLifetime <= TimeSpan.Zero)
        {
            return;
        }
        var now = _time.GetUtcNow();
        if (_verdicts.Count >= MaxVerdicts)
        {
            foreach (var (old, until) in _verdicts)
            {
                if (until <= now || _verdicts.Count >= MaxVerdicts)
                {
                    _verdicts.TryRemove(old, out _);
                }
            }
        }
        _verdicts[verdict] = now + _options.PasswordVerdictLifetime;
    }

    /// <summary>Bound to the hash, so a new password or a new salt makes every old verdict worthless.</summary>
    private Verdict VerdictOf(string hash, string password)
    {
        Span<byte> code = stackalloc byte[32];
        HMACSHA256.HashData(_verdictKey, Encoding.UTF8.GetBytes($"{hash}\0{password}"), code);
        return new Verdict(BitConverter.ToUInt128(code), BitConverter.ToUInt128(code[16..]));
    }

    private static bool SameText(string left, string right) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(left), Encoding.UTF8.GetBytes(right));

    private static string Encode(byte[] bytes) => Convert.ToBase64String(bytes).TrimEnd('=');

    private static byte[] Decode(string text) => Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='));

    private readonly record struct Verdict(UInt128 High, UInt128 Low);

    private readonly record struct Cost(int MemoryKiB, int Iterations, int Lanes)
    {
        public static Cost? Parse(string text)
        {
            var values = text.Split(',');
            return values.Length == 3 && Number(values[0], "m=") is { } memory && Number(values[1], "t=") is { } iterations &&
                Number(values[2], "p=") is { } lanes
                    ? new Cost(memory, iterations, lanes)
                    : null;
        }

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"m={MemoryKiB},t={Iterations},p={Lanes}");

        private static int? Number(string text, string name) =>
            text.StartsWith(name, StringComparison.Ordinal) &&
            int.TryParse(text.AsSpan(name.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? number
                : null;
    }
}
