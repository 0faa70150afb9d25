using Nephos.Kernel.Operations;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class AccessRuleTests
{
    [Theory]
    [InlineData("/v2.1/servers", "/v2.1/servers", true)]
    [InlineData("/v2.1/servers", "/v2.1/servers/", true)]
    [InlineData("/v2.1/servers", "/v2.1/servers/1", false)]
    [InlineData("/v2.1/servers/*", "/v2.1/servers/1", true)]
    [InlineData("/v2.1/servers/*", "/v2.1/servers/1/ips", false)]
    [InlineData("/v2.1/servers/*/ips", "/v2.1/servers/1/ips", true)]
    [InlineData("/v2.1/servers/{id}", "/v2.1/servers/1", true)]
    [InlineData("/v2.1/servers/{id}", "/v2.1/servers", false)]
    [InlineData("/v2.1/**", "/v2.1/servers/1/ips", true)]
    [InlineData("/v2.1/**", "/v2.1", true)]
    [InlineData("/**/ips", "/v2.1/servers/1/ips", true)]
    [InlineData("/**/ips", "/v2.1/servers/1/ip", false)]
    [InlineData("/**/1/**/ips", "/a/1/b/1/c/ips", true)]
    [InlineData("/**", "/", true)]
    [InlineData("/v2.1/serv*", "/v2.1/servers", false)]
    public void A_path_matches_its_pattern(string pattern, string path, bool matches) =>
        Assert.Equal(matches, new AccessRule("compute", "GET", pattern).Allows("compute", "GET", path));

    [Fact]
    public void Another_service_or_method_does_not_match()
    {
        var rule = new AccessRule("compute", "GET", "/v2.1/servers");

        Assert.True(rule.Allows("compute", "get", "/v2.1/servers"));
        Assert.False(rule.Allows("image", "GET", "/v2.1/servers"));
        Assert.False(rule.Allows("compute", "POST", "/v2.1/servers"));
    }

    [Fact]
    public void A_pattern_made_to_be_slow_is_quick()
    {
        var rule = new AccessRule("s", "GET", string.Concat(Enumerable.Repeat("/**/a", 60)) + "/b");

        Assert.False(rule.Allows("s", "GET", string.Concat(Enumerable.Repeat("/a", 4000))));
    }
}
