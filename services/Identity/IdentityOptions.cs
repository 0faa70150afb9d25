using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;

namespace Nephos.Identity;

/// <summary>How people and programs prove who they are. Configuration section <c>Identity</c>.</summary>
internal sealed class IdentityOptions : IValidatableObject
{
    [Range(typeof(TimeSpan), "00:00:10", "2.00:00:00")]
    public TimeSpan TokenLifetime { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Tokens are signed with a new key after this time.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "365.00:00:00")]
    public TimeSpan SigningKeyLifetime { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Memory of one Argon2id hash, KiB. A verification takes tens of milliseconds with the defaults.</summary>
    [Range(64, 1_048_576)]
    public int Argon2MemoryKiB { get; set; } = 19_456;

    [Range(1, 64)]
    public int Argon2Iterations { get; set; } = 2;

    [Range(1, 64)]
    public int Argon2Lanes { get; set; } = 1;

    /// <summary>How long a password that was right need not be hashed again; tools ask for many tokens at once.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan PasswordVerdictLifetime { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>Wrong passwords in a row before a user is locked; 0 never locks.</summary>
    [Range(0, 1000)]
    public int LockoutFailures { get; set; } = 5;

    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan LockoutDuration { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>A user's new password must differ from so many last ones, the current one counted; 0 allows any.</summary>
    [Range(0, 24)]
    public int PasswordHistory { get; set; } = 2;

    /// <summary>A password must be older than this before its user may change it again.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    public TimeSpan PasswordMinAge { get; set; } = TimeSpan.Zero;

    /// <summary>Passwords end after this time; zero never.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "3650.00:00:00")]
    public TimeSpan PasswordMaxAge { get; set; } = TimeSpan.Zero;

    /// <summary>What a password must match; empty allows any that is not empty.</summary>
    public string PasswordPattern { get; set; } = "";

    /// <summary>The pattern in words, for the answer to a password that does not match.</summary>
    public string PasswordPatternDescription { get; set; } = "";

    /// <summary>A password that an administrator set must be changed before it is good for anything else.</summary>
    public bool ChangePasswordUponFirstUse { get; set; }

    /// <summary>Application credentials of one user.</summary>
    [Range(1, 10_000)]
    public int MaxApplicationCredentials { get; set; } = 500;

    /// <summary>Projects below one another, the first level counted.</summary>
    [Range(1, 20)]
    public int MaxProjectDepth { get; set; } = 5;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        var problem = "";
        try
        {
            _ = new Regex(PasswordPattern, RegexOptions.NonBacktracking);
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            problem = exception.Message;
        }
        if (problem.Length > 0)
        {
            yield return new ValidationResult($"{nameof(PasswordPattern)}: {problem}", [nameof(PasswordPattern)]);
        }
    }
}
