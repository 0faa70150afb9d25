using System.Text.RegularExpressions;
using Nephos.Identity.Users;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Passwords;

/// <summary>What a new password must be, and what becomes of the old one.</summary>
internal sealed class PasswordRules(PasswordHasher hasher, IdentityOptions options, TimeProvider time)
{
    private readonly Regex? _pattern = options.PasswordPattern.Length > 0 ? new Regex(options.PasswordPattern, RegexOptions.NonBacktracking) : null;

    /// <summary>The user with a new password.</summary>
    /// <param name="user">The user as stored.</param>
    /// <param name="password">The new password; null takes the password away.</param>
    /// <param name="byOwner">The user changes it: then it must be new and the old one old enough.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="FaultException">InvalidArgument: it breaks a rule, which the message names.</exception>
    public async Task<User> SetAsync(User user, string? password, bool byOwner, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var history = user.Password is null ? user.PasswordHistory : [user.Password.Hash, .. user.PasswordHistory];
        if (password is null)
        {
            return user with { Password = null, PasswordHistory = Keep(history) };
        }
        CheckForm(password);
        if (byOwner)
        {
            await CheckChangeAsync(user, password, history, now, cancellationToken);
        }
        return user with
        {
            Password = new UserPassword(
                await hasher.HashAsync(password, cancellationToken), now,
                options.PasswordMaxAge > TimeSpan.Zero ? now + options.PasswordMaxAge : null,
                MustChange: !byOwner && options.ChangePasswordUponFirstUse),
            PasswordHistory = Keep(history),
        };
    }

    private void CheckForm(string password)
    {
        if (_pattern?.IsMatch(password) == false)
        {
            throw Faults.Invalid("password", options.PasswordPatternDescription.Length > 0
                ? options.PasswordPatternDescription
                : "does not match the pattern that passwords must have");
        }
    }

    private async Task CheckChangeAsync(
        User user, string password, IReadOnlyList<string> history, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (options.PasswordMinAge > TimeSpan.Zero && user.Password is { MustChange: false } current && current.SetAt + options.PasswordMinAge > now)
        {
            throw Faults.Invalid("password", $"cannot be changed before {current.SetAt + options.PasswordMinAge:yyyy-MM-ddTHH:mm:ssZ}");
        }
        foreach (var earlier in history.Take(options.PasswordHistory))
        {
            if (await hasher.VerifyAsync(earlier, password, cancellationToken))
            {
                throw new FaultException(
                    Protos.Errors.V1.ErrorReason.InvalidArgument,
                    $"The new password was used before; it must differ from the last {options.PasswordHistory}.",
                    new Dictionary<string, string> { ["field"] = "password" });
            }
        }
    }

    private IReadOnlyList<string> Keep(IReadOnlyList<string> history) => [.. history.Take(options.PasswordHistory)];
}
