using System.Xml.Linq;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Grants on a bucket or an object besides its owner's full control. The owner is the bucket's project.</summary>
/// <remarks>Kept as <c>grantee permission;…</c> where a grantee is <c>*</c> (everyone), <c>+</c> (everyone who is signed in) or a project's id.</remarks>
internal sealed record S3Acl(IReadOnlyList<(string Grantee, string Permission)> Grants)
{
    public const string Key = "s3.acl";
    public const string Everyone = "*";
    public const string Authenticated = "+";
    private const int MaxGrants = 100;
    private const string Groups = "http://acs.amazonaws.com/groups/global/";
    private static readonly string[] Permissions = ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"];
    private static readonly XNamespace Xsi = "http://www.w3.org/2001/XMLSchema-instance";

    public static S3Acl Private { get; } = new([]);

    public bool IsPublic => Grants.Any(grant => grant.Grantee is Everyone or Authenticated);

    public static S3Acl Parse(string? stored) => string.IsNullOrEmpty(stored)
        ? Private
        : new([.. stored.Split(';').Select(item => item.Split(' ')).Where(item => item.Length == 2).Select(item => (item[0], item[1]))]);

    public override string ToString() => string.Join(';', Grants.Select(grant => $"{grant.Grantee} {grant.Permission}"));

    /// <param name="ignorePublic">Grants to groups count for nothing.</param>
    public bool Allows(string? project, string permission, bool ignorePublic) => Grants.Any(grant =>
        (grant.Permission == permission || grant.Permission == "FULL_CONTROL") &&
        grant.Grantee switch
        {
            Everyone => !ignorePublic,
            Authenticated => !ignorePublic && project is not null,
            var id => id == project,
        });

    /// <summary>What the headers of a put say; null when they say nothing.</summary>
    public static S3Acl? FromHeaders(S3Call call)
    {
        var grants = new List<(string, string)>();
        foreach (var permission in Permissions)
        {
            if (call.Header("x-amz-grant-" + permission.ToLowerInvariant().Replace('_', '-')) is { } header)
            {
                grants.AddRange(header.Split(',', StringSplitOptions.TrimEntries).Select(item => (GranteeOf(item), permission)));
            }
        }
        if (call.Header("x-amz-acl") is not { } canned)
        {
            return grants.Count > 0 ? Bounded(grants) : null;
        }
        return grants.Count == 0 ? OfCanned(canned) : throw S3Fault.InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed");
    }

    public static S3Acl OfCanned(string name) => name switch
    {
        "private" or "bucket-owner-read" or "bucket-owner-full-control" => Private,
        "public-read" => new([(Everyone, "READ")]),
        "public-read-write" => new([(Everyone, "READ"), (Everyone, "WRITE")]),
        "authenticated-read" => new([(Authenticated, "READ")]),
        _ => throw S3Fault.InvalidArgument($"The canned ACL {name} does not exist here."),
    };

    public static S3Acl FromXml(XElement policy, string owner)
    {
        if (policy.Name.LocalName != "AccessControlPolicy" || policy.Child("AccessControlList") is not { } list)
        {
            throw S3Fault.MalformedXml();
        }
        var grants = new List<(string, string)>();
        foreach (var grant in list.Elements())
        {
            var permission = grant.Child("Permission")?.Value ?? "";
            var grantee = grant.Child("Grantee") ?? throw S3Fault.MalformedXml();
            if (!Permissions.Contains(permission))
            {
                throw S3Fault.MalformedXml();
            }
            var id = grantee.Child("URI")?.Value is { } uri ? GroupOf(uri) : IdOf(grantee.Child("ID")?.Value ?? throw new S3Fault(400, "UnresolvableGrantByEmailAddress", "Grants name projects by id."));
            if (id != owner)
            {
                grants.Add((id, permission));
            }
        }
        return Bounded(grants);
    }

    public XElement ToXml(string owner) => Element("AccessControlPolicy",
        Element("Owner", Element("ID", owner), Element("DisplayName", owner)),
        Element("AccessControlList", Grants.Prepend((owner, "FULL_CONTROL")).Select(grant => Element("Grant", Grantee(grant.Item1), Element("Permission", grant.Item2)))));

    private static XElement Grantee(string id)
    {
        var group = id switch { Everyone => Groups + "AllUsers", Authenticated => Groups + "AuthenticatedUsers", _ => null };
        return new XElement((XNamespace)S3Call.Namespace + "Grantee", new XAttribute(XNamespace.Xmlns + "xsi", Xsi),
            new XAttribute(Xsi + "type", group is null ? "CanonicalUser" : "Group"),
            group is null ? (object[])[Element("ID", id), Element("DisplayName", id)] : [Element("URI", group)]);
    }

    private static string GranteeOf(string item)
    {
        var equals = item.IndexOf('=', StringComparison.Ordinal);
        var value = equals < 0 ? "" : item[(equals + 1)..].Trim().Trim('"');
        return (equals < 0 ? "" : item[..equals].Trim()) switch
        {
            "uri" => GroupOf(value),
            "id" => IdOf(value),
            _ => throw S3Fault.InvalidArgument("A grant names id=\"project\" or uri=\"group\"."),
        };
    }

    private static string GroupOf(string uri) => uri switch
    {
        Groups + "AllUsers" => Everyone,
        Groups + "AuthenticatedUsers" => Authenticated,
        _ => throw S3Fault.InvalidArgument("Invalid group uri"),
    };

    private static string IdOf(string id) => id.Length is > 0 and <= 64 && id.All(char.IsAsciiLetterOrDigit) ? id : throw S3Fault.InvalidArgument("Invalid id");

    private static S3Acl Bounded(List<(string, string)> grants) =>
        grants.Count <= MaxGrants ? new S3Acl(grants) : throw S3Fault.InvalidRequest($"An ACL has at most {MaxGrants} grants.");
}
