using Nephos.Identity.Passwords;
using Nephos.Identity.Projects;
using Nephos.Identity.Users;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Identity.Tokens;

/// <summary>Checks who a user says to be. Whatever is wrong, it takes as long and says the same.</summary>
internal sealed class PasswordAuthentication(DirectoryView directory, PasswordHasher hasher, IdentityOptions options, TimeProvider time)
{
    public static FaultException Failed() => Faults.Unauthenticated("The request you have made requires authentication.");

    /// <returns>The enabled user of an enabled domain whose password it is.</returns>
    /// <exception cref="FaultException">Unauthenticated.</exception>
    public async Task<User> CheckAsync(PasswordProof proof, CancellationToken cancellationToken)
    {
        var user = await CheckPasswordAsync(proof, cancellationToken);
        if (user.Password is { MustChange: true } && !user.HasOption("ignore_change_password_upon_first_use"))
        {
            throw Faults.Unauthenticated($"The password is expired and needs to be changed for user: {user.Id}.");
        }
        if (user.Password!.ExpiresAt <= time.GetUtcNow() && !user.HasOption("ignore_password_expiry"))
        {
            throw Faults.Unauthenticated($"The password is expired and needs to be changed for user: {user.Id}.");
        }
        return user;
    }

    /// <summary>As <see cref="CheckAsync"/>, but a password that has ended is good: to change it.</summary>
    public async Task<User> CheckPasswordAsync(PasswordProof proof, CancellationToken cancellationToken)
    {
        var user = await FindAsync(proof.User, cancellationToken);
        if (user?.Password is null || !user.Enabled || await directory.FindDomainAsync(user.DomainId, cancellationToken) is not { Enabled: true })
        {
            await hasher.VerifyNobodyAsync(proof.Password, cancellationToken);
            throw Failed();
        }
        var failures = await FailuresAsync(user, cancellationToken);
        if (IsLocked(failures))
        {
            await hasher.VerifyNobodyAsync(proof.Password, cancellationToken);
            throw Failed();
        }
        if (!await hasher.VerifyAsync(user.Password.Hash, proof.Password, cancellationToken))
        {
            await CountFailureAsync(user, cancellationToken);
            throw Failed();
        }
        if (failures is not null)
        {
            await directory.Store.TransactAsync(
                transaction =>
                {
                    transaction.Delete<LoginFailures>(IdentityTables.LoginFailures, user.Id);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }
        return user;
    }

    /// <summary>The user a reference names, or null.</summary>
    /// <exception cref="FaultException">InvalidArgument: neither an id nor a name with a domain.</exception>
    public async ValueTask<User?> FindAsync(NamedRef reference, CancellationToken cancellationToken)
    {
        if (reference.Id is { } id)
        {
            return await directory.FindUserAsync(id, cancellationToken);
        }
        return await DomainIdAsync(reference, "user", cancellationToken) is { } domainId
            ? await directory.Store.FindAsync(IdentityTables.Users, "name", IdentityTables.ScopedName(domainId, reference.Name!), cancellationToken)
            : null;
    }

    /// <summary>The project a reference names, or null. A domain may be meant: it can act as a project.</summary>
    public async ValueTask<Project?> FindProjectAsync(NamedRef reference, CancellationToken cancellationToken)
    {
        if (reference.Id is { } id)
        {
            return await directory.FindProjectAsync(id, cancellationToken);
        }
        return await DomainIdAsync(reference, "project", cancellationToken) is { } domainId
            ? await directory.Store.FindAsync(IdentityTables.Projects, "name", IdentityTables.ScopedName(domainId, reference.Name!), cancellationToken)
            : null;
    }

    public async ValueTask<Project?> FindDomainAsync(DomainRef reference, CancellationToken cancellationToken)
    {
        if (reference.Id is { } id)
        {
            return await directory.FindDomainAsync(id, cancellationToken);
        }
        return IsName(reference.Name)
            ? await directory.Store.FindAsync(IdentityTables.Projects, "name", IdentityTables.ScopedName(null, reference.Name!), cancellationToken)
            : throw Faults.Invalid("domain", "needs an id or a name");
    }

    private static bool IsName(string? name) => name is { Length: > 0 and <= Shared.Names.MaxNameChars };

    private async ValueTask<string?> DomainIdAsync(NamedRef reference, string field, CancellationToken cancellationToken)
    {
        if (reference.Name is null || reference.Domain is null)
        {
            throw Faults.Invalid(field, "needs an id, or a name and a domain");
        }
        if (!IsName(reference.Name))
        {
            return null;
        }
        return (await FindDomainAsync(reference.Domain, cancellationToken))?.Id;
    }

    private bool IsLocked(LoginFailures? failures) =>
        failures is not null && failures.Count >= options.LockoutFailures && time.GetUtcNow() < failures.LastAt + options.LockoutDuration;

    private async ValueTask<LoginFailures?> FailuresAsync(User user, CancellationToken cancellationToken) =>
        options.LockoutFailures == 0 || user.HasOption("ignore_lockout_failure_attempts")
            ? null
            : await directory.Store.GetAsync(IdentityTables.LoginFailures, user.Id, cancellationToken);

    private async Task CountFailureAsync(User user, CancellationToken cancellationToken)
    {
        if (options.LockoutFailures == 0 || user.HasOption("ignore_lockout_failure_attempts"))
        {
            return;
        }
        await directory.Store.TransactAsync(
            async transaction =>
            {
                var now = time.GetUtcNow();
                var before = await transaction.GetAsync(IdentityTables.LoginFailures, user.Id, cancellationToken);
                // After a lock has ended counting starts anew.
                var count = before is null || before.Count >= options.LockoutFailures ? 1 : before.Count + 1;
                transaction.Put(IdentityTables.LoginFailures, new LoginFailures(user.Id, count, now));
            },
            cancellationToken);
    }
}
