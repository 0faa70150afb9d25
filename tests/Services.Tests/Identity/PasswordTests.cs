using Nephos.Identity.Passwords;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class PasswordTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task After_too_many_wrong_passwords_the_right_one_is_refused_until_the_lock_ends()
    {
        await using var world = await IdentityWorld.StartAsync(options =>
        {
            options.LockoutFailures = 2;
            options.LockoutDuration = TimeSpan.FromSeconds(5);
        });
        var user = await world.NewUserAsync("alice");
        await Assert.ThrowsAsync<FaultException>(() => world.LoginAsync(user, password: "wrong"));
        await world.LoginAsync(user);
        await Assert.ThrowsAsync<FaultException>(() => world.LoginAsync(user, password: "wrong"));
        await Assert.ThrowsAsync<FaultException>(() => world.LoginAsync(user, password: "wrong"));

        var locked = await Assert.ThrowsAsync<FaultException>(() => world.LoginAsync(user));

        Assert.Equal(ErrorReason.Unauthenticated, locked.Reason);
        world.Time.Advance(TimeSpan.FromSeconds(5));
        await world.LoginAsync(user);
    }

    [Fact]
    public async Task A_user_who_is_exempt_is_not_locked()
    {
        await using var world = await IdentityWorld.StartAsync(options => options.LockoutFailures = 1);
        var user = await world.NewUserAsync("alice");
        await world.Users.UpdateAsync(
            world.Admin, user.Id, new UserPatch { Options = Change.To(new System.Text.Json.Nodes.JsonObject { ["ignore_lockout_failure_attempts"] = true }) }, None);
        await Assert.ThrowsAsync<FaultException>(() => world.LoginAsync(user, password: "wrong"));

        await world.LoginAsync(user);
    }

    [Fact]
    public async Task The_last_passwords_cannot_be_used_again_until_enough_others_came()
    {
        await using var world = await IdentityWorld.StartAsync(options => options.PasswordHistory = 2);
        var user = await world.NewUserAsync("alice");
        await world.Users.ChangePasswordAsync(user.Id, IdentityWorld.Password, "second", None);

        var current = await Assert.ThrowsAsync<FaultException>(() => world.Users.ChangePasswordAsync(user.Id, "second", "second", None));
        var earlier = await Assert.ThrowsAsync<FaultException>(() => world.Users.ChangePasswordAsync(user.Id, "second", IdentityWorld.Password, None));
        await world.Users.ChangePasswordAsync(user.Id, "second", "third", None);
        await world.Users.ChangePasswordAsync(user.Id, "third", IdentityWorld.Password, None);

        Assert.Equal((ErrorReason.InvalidArgument, ErrorReason.InvalidArgument), (current.Reason, earlier.Reason));
        Assert.Contains("differ from the last 2", current.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_history_any_password_may_be_used_again()
    {
        await using var world = await IdentityWorld.StartAsync(options => options.PasswordHistory = 0);
        var user = await world.NewUserAsync("alice");

        await world.Users.ChangePasswordAsync(user.Id, IdentityWorld.Password, IdentityWorld.Password, None);

        await world.LoginAsync(user);
    }

    [Fact]
    public async Task A_wrong_old_password_changes_nothing()
    {
        await using var world = await IdentityWorld.StartAsync();
        var user = await world.NewUserAsync("alice");

        foreach (var wrong in new[] { "wrong", "", new string('x', 5000) })
        {
            var fault = await Assert.ThrowsAsync<FaultException>(() => world.Users.ChangePasswordAsync(user.Id, wrong, "new", None));
            Assert.Equal(ErrorReason.Unauthenticated, fault.Reason);
        }

        await world.LoginAsync(user);
    }

    [Fact]
    public async Task A_password_that_has_ended_is_good_for_changing_it_and_nothing_else()
    {
        await using var world = await IdentityWorld.StartAsync(options => options.PasswordMaxAge = TimeSpan.FromDays(1));
        var user = await world.NewUserAsync("alice");
        world.Time.Advance(TimeSpan.FromDays(1));
        await Assert.ThrowsAsync<FaultException>(() => world.LoginAsync(user));

        await world.Users.ChangePasswordAsync(user.Id, IdentityWorld.Password, "fresh", None);

        await world.LoginAsync(user, password: "fresh");
    }

    [Fact]
    public async Task A_password_set_by_an_administrator_must_be_changed_first_where_that_is_asked()
    {
        await using var world = await IdentityWorld.StartAsync(options => options.ChangePasswordUponFirstUse = true);
        var user = await world.NewUserAsync("alice");
        await Assert.ThrowsAsync<FaultException>(() => world.LoginAsync(user));

        await world.Users.ChangePasswordAsync(user.Id, IdentityWorld.Password, "my own", None);

        await world.LoginAsync(user, password: "my own");
    }

    [Fact]
    public async Task A_password_must_match_the_pattern_and_may_be_too_young_to_change()
    {
        await using var world = await IdentityWorld.StartAsync(options =>
        {
            options.PasswordPattern = "^.{8,}$";
            options.PasswordPatternDescription = "at least eight characters";
            options.PasswordMinAge = TimeSpan.FromHours(1);
        });
        var user = await world.NewUserAsync("alice");

        var young = await Assert.ThrowsAsync<FaultException>(() => world.Users.ChangePasswordAsync(user.Id, IdentityWorld.Password, "long enough", None));
        world.Time.Advance(TimeSpan.FromHours(1));
        var weak = await Assert.ThrowsAsync<FaultException>(() => world.Users.ChangePasswordAsync(user.Id, IdentityWorld.Password, "short", None));

        Assert.Equal(ErrorReason.InvalidArgument, young.Reason);
        Assert.Contains("at least eight characters", weak.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_locked_password_is_changed_by_administrators_only()
    {
        await using var world = await IdentityWorld.StartAsync();
        var user = await world.NewUserAsync("alice");
        await world.Users.UpdateAsync(
            world.Admin, user.Id, new UserPatch { Options = Change.To(new System.Text.Json.Nodes.JsonObject { [UserOptions.LockPassword] = true }) }, None);

        var fault = await Assert.ThrowsAsync<FaultException>(() => world.Users.ChangePasswordAsync(user.Id, IdentityWorld.Password, "mine", None));
        await world.Users.UpdateAsync(world.Admin, user.Id, new UserPatch { Password = Change.To("theirs") }, None);

        Assert.Equal(ErrorReason.IdentityRefused, fault.Reason);
        await world.LoginAsync(user, password: "theirs");
    }

    [Fact]
    public async Task A_hash_is_salted_peppered_and_in_the_standard_form()
    {
        await using var world = await IdentityWorld.StartAsync();
        var hasher = world.Get<PasswordHasher>();

        var (first, second) = (await hasher.HashAsync("secret", None), await hasher.HashAsync("secret", None));

        Assert.StartsWith("$argon2id$v=19$m=64,t=1,p=1$", first, StringComparison.Ordinal);
        Assert.NotEqual(first, second);
        Assert.True(await hasher.VerifyAsync(first, "secret", None));
        Assert.True(await hasher.VerifyAsync(first, "secret", None));
        Assert.False(await hasher.VerifyAsync(first, "Secret", None));
        using var elsewhere = new PasswordHasher(new CloudKey(new byte[32]), world.Options, world.Time);
        Assert.False(await elsewhere.VerifyAsync(first, "secret", None));
        Assert.False(await hasher.VerifyAsync("$argon2id$v=19$m=1,t=1$x$y", "secret", None));
        Assert.False(await hasher.VerifyAsync("", "secret", None));
    }

    [Fact]
    public async Task A_verdict_is_forgotten_with_the_hash_it_was_about()
    {
        await using var world = await IdentityWorld.StartAsync();
        var user = await world.NewUserAsync("alice");
        await world.LoginAsync(user);

        await world.Users.UpdateAsync(world.Admin, user.Id, new UserPatch { Password = Change.To("other") }, None);

        await Assert.ThrowsAsync<FaultException>(() => world.LoginAsync(user));
    }
}
